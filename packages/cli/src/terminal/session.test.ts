import { PassThrough } from 'node:stream';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Attachment } from '@tsc/engine';

import { holdSession } from './session.ts';

/** A process that the test plays: what it writes, what it was sent, when it ends. */
function play() {
  const exit = Promise.withResolvers<number>();
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const signals: string[] = [];
  let detached = false;
  const attachment: Attachment = {
    hostPid: 1,
    ...streams,
    resize: () => undefined,
    exitCode: exit.promise,
    kill: (name) => void signals.push(name),
    detach: () => {
      detached = true;
    },
  };
  const end = (code: number): void => {
    streams.stdout.end();
    streams.stderr.end();
    exit.resolve(code);
  };
  return { attachment, streams, signals, end, wasDetached: () => detached };
}

const session = { tty: false, stdin: false, stdout: true, stderr: true, detachKeys: [16, 17], forwardSignals: true };
let written = { stdout: '', stderr: '' };

describe('holdSession', () => {
  beforeEach(() => {
    written = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      jest.spyOn(process[name], 'write').mockImplementation((chunk) => {
        written[name] += String(chunk);
        return true;
      });
    }
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('copies each stream to its own, to the last byte, and returns the exit code', async () => {
    const { attachment, streams, end } = play();
    const held = holdSession(attachment, session);
    streams.stdout.write('out');
    streams.stderr.write('err');
    end(42);
    expect(await held).toBe(42);
    expect(written).toEqual({ stdout: 'out', stderr: 'err' });
  });

  it('reads what nobody wants to see, so that its writer goes on', async () => {
    const { attachment, streams, end } = play();
    const held = holdSession(attachment, { ...session, stdout: false });
    streams.stdout.write(Buffer.alloc(1_000_000));
    end(0);
    expect(await held).toBe(0);
    expect(written.stdout).toBe('');
  });

  it('hands signals over while it is held, and not after', async () => {
    const { attachment, signals, end } = play();
    const before = process.listenerCount('SIGHUP');
    const held = holdSession(attachment, session);
    process.emit('SIGHUP', 'SIGHUP');
    end(0);
    await held;
    expect(signals).toEqual(['SIGHUP']);
    expect(process.listenerCount('SIGHUP')).toBe(before);
  });

  it('leaves on the detach keys, with what was typed before them', async () => {
    const { attachment, streams, wasDetached } = play();
    const held = holdSession(attachment, { ...session, tty: true, stdin: true });
    process.stdin.emit('data', Buffer.from('ls\x10'));
    process.stdin.emit('data', Buffer.from('\x11'));
    expect(await held).toBe('detached');
    expect(wasDetached()).toBe(true);
    expect(String(streams.stdin.read())).toBe('ls');
    expect(process.stdin.listenerCount('data')).toBe(0);
  });

  it('closes the input of the process when ours ends', async () => {
    const { attachment, streams, end } = play();
    const held = holdSession(attachment, { ...session, stdin: true });
    process.stdin.emit('end');
    expect(streams.stdin.writableEnded).toBe(true);
    end(0);
    await held;
  });
});
