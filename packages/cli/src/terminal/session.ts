import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';

import type { Attachment } from '@tsc/engine';

import { CliError } from '../errors.ts';
import { DetachKeys } from './detach-keys.ts';
import { enterRawMode, leaveRawMode } from './raw-mode.ts';
import { endOnSignal, forwardSignals } from './signals.ts';

export interface SessionOptions {
  /** The container has a terminal: ours goes raw and follows its size. */
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly detachKeys: readonly number[];
  /** Passes signals on, where there is no terminal. */
  readonly forwardSignals: boolean;
}

/** The exit code of the process, or `'detached'` when the detach keys were typed and it runs on. */
export type SessionEnd = number | 'detached';

/** Refuses `-it` with something else than a terminal behind it, before anything is started. */
export function requireTerminal(options: { readonly tty: boolean; readonly stdin: boolean }): void {
  if (options.tty && options.stdin && !process.stdin.isTTY) {
    throw new CliError('CLI_FAILED', 'the input device is not a TTY', { exitCode: 1 });
  }
}

export function windowSize(): { readonly rows: number; readonly columns: number } | undefined {
  return process.stdout.isTTY ? { rows: process.stdout.rows, columns: process.stdout.columns } : undefined;
}

/** Connects our own streams to a process until it ends or we leave; the terminal is always put back. */
export async function holdSession(attachment: Attachment, options: SessionOptions): Promise<SessionEnd> {
  using cleanup = new DisposableStack();
  const outputs = [
    copy(attachment.stdout, options.stdout ? process.stdout : undefined),
    copy(attachment.stderr, options.stderr ? process.stderr : undefined),
  ];
  if (options.tty) followTerminal(attachment, cleanup);
  else if (options.forwardSignals) cleanup.use(forwardSignals((name) => attachment.kill(name)));
  const detached = Promise.withResolvers<'detached'>();
  if (options.stdin && attachment.stdin !== undefined) {
    if (options.tty && process.stdin.isTTY) {
      cleanup.defer(leaveRawMode);
      await enterRawMode();
    }
    cleanup.use(copyInput(attachment.stdin, options, () => detached.resolve('detached')));
  }
  const ended = Promise.all([attachment.exitCode, ...outputs]).then(([exitCode]) => exitCode);
  const end = await Promise.race([ended, detached.promise]);
  if (end === 'detached') attachment.detach();
  return end;
}

/** An output that nobody asked for is still read, so that its writer doesn't wait forever. */
async function copy(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (from === undefined) return;
  if (to === undefined) from.resume();
  else from.pipe(to, { end: false });
  await finished(from, { writable: false }).catch(() => undefined);
}

function followTerminal(attachment: Attachment, cleanup: DisposableStack): void {
  const resize = (): void => {
    const size = windowSize();
    if (size !== undefined) attachment.resize(size);
  };
  resize();
  process.stdout.on('resize', resize);
  cleanup.defer(() => process.stdout.off('resize', resize));
  cleanup.use(endOnSignal(leaveRawMode));
}

function copyInput(to: Writable, { tty, detachKeys }: SessionOptions, detach: () => void): Disposable {
  const { stdin } = process;
  const keys = new DetachKeys(tty ? detachKeys : []);
  const onData = (typed: Buffer): void => {
    const { forward, detached } = keys.feed(typed);
    if (forward.length > 0 && !to.write(forward)) {
      stdin.pause();
      to.once('drain', () => stdin.resume());
    }
    if (detached) detach();
  };
  const onEnd = (): void => void to.end();
  // A process may close its input and work on: what is typed after that goes nowhere.
  const onClosed = (): void => void stdin.pause().off('data', onData);
  to.on('error', onClosed);
  stdin.on('data', onData).on('end', onEnd).resume();
  return {
    [Symbol.dispose]: () => {
      stdin.off('data', onData).off('end', onEnd).pause();
    },
  };
}
