import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from '@jest/globals';

import { withEvents } from './event-queue.ts';

const allOf = async <E>(events: AsyncIterable<E>): Promise<readonly E[]> => {
  const all: E[] = [];
  for await (const event of events) all.push(event);
  return all;
};

describe('the events of work', () => {
  it('are told in order, and progress now and then', async () => {
    const events = await allOf(
      withEvents<string, undefined>(undefined, async (queue) => {
        queue.push('begin');
        for (let i = 0; i < 10_000; i += 1) queue.update(`at ${String(i)}`, 'key');
        await sleep(300);
        queue.update('nearly', 'key');
        queue.push('end', 'key');
        return undefined;
      }),
    );
    expect(events).toEqual(['begin', 'at 9999', 'end']);
  });

  it('end in what the work returns, or throws', async () => {
    const works = withEvents<string, number>(undefined, () => Promise.resolve(7));
    expect(await works.next()).toEqual({ done: true, value: 7 });
    const failing = withEvents<string, number>(undefined, async (queue) => {
      queue.push('begin');
      await sleep(1);
      throw new Error('no');
    });
    expect(await failing.next()).toEqual({ done: false, value: 'begin' });
    await expect(failing.next()).rejects.toThrow('no');
  });

  it('stop the work when nobody reads on, which then cleans up', async () => {
    const seen: string[] = [];
    for await (const event of withEvents<string, undefined>(undefined, async (queue, signal) => {
      queue.push('begin');
      try {
        await sleep(60_000, undefined, { signal });
      } finally {
        await sleep(10);
        seen.push('cleaned up');
      }
      return undefined;
    })) {
      seen.push(event);
      break;
    }
    expect(seen).toEqual(['begin', 'cleaned up']);
  });

  it('are not begun with a signal that is aborted', async () => {
    const begun: string[] = [];
    const events = withEvents<string, undefined>(AbortSignal.abort(new Error('before')), () => {
      begun.push('begun');
      return Promise.resolve(undefined);
    });
    await expect(events.next()).rejects.toThrow('before');
    expect(begun).toEqual([]);
  });
});
