import { describe, expect, test } from '@jest/globals';

import { SharedCalls } from './shared-calls.ts';

describe('SharedCalls', () => {
  test('makes one call for all who want it at the same time, and a new one later', async () => {
    const calls = new SharedCalls<number>();
    let made = 0;
    const run = (): Promise<number> => Promise.resolve((made += 1));
    const all = await Promise.all([calls.share('a', undefined, run), calls.share('a', undefined, run)]);
    expect(all).toEqual([1, 1]);
    await expect(calls.share('a', undefined, run)).resolves.toBe(2);
  });

  test('goes on while somebody waits, and is aborted when nobody does', async () => {
    const calls = new SharedCalls<string>();
    const { promise, resolve } = Promise.withResolvers<string>();
    const inner: AbortSignal[] = [];
    const run = (signal: AbortSignal): Promise<string> => {
      inner.push(signal);
      return promise;
    };
    const [first, second] = [new AbortController(), new AbortController()];
    const gone = calls.share('a', first.signal, run);
    const stays = calls.share('a', second.signal, run);
    first.abort(new Error('first'));
    await expect(gone).rejects.toThrow('first');
    expect(inner.map(({ aborted }) => aborted)).toEqual([false]);
    second.abort(new Error('second'));
    await expect(stays).rejects.toThrow('second');
    expect(inner.map(({ aborted }) => aborted)).toEqual([true]);
    resolve('late');
  });

  test('a failure is everybody’s, and not kept', async () => {
    const calls = new SharedCalls<string>();
    const fail = (): Promise<string> => Promise.reject(new Error('no'));
    const both = [calls.share('a', undefined, fail), calls.share('a', undefined, fail)];
    for (const one of both) await expect(one).rejects.toThrow('no');
    await expect(calls.share('a', undefined, () => Promise.resolve('yes'))).resolves.toBe('yes');
  });
});
