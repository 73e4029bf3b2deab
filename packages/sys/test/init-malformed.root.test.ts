import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { prebuiltUrl } from '../src/binding.ts';
import {
  AF_UNIX,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  FrameDecoder,
  MFD_CLOEXEC,
  MSG_DONTWAIT,
  P_PIDFD,
  SOCK_STREAM,
  WEXITED,
  __WALL,
  encodeProgram,
  hasCode,
  memfd_create,
  recvmsg,
  socketpair,
  spawn,
  waitid,
} from '../src/index.ts';
import type { MonitorFrame, Operation, StartProgram, WaitResult } from '../src/index.ts';
import { CLD_EXITED, warmUp } from './init-run.ts';
import { temporaryDirectory } from './temporary-directory.ts';

beforeAll(warmUp);

const EPROTO = 71;
const EINVAL = 22;
const HEADER_BYTES = 24;

interface Outcome {
  readonly end: WaitResult | undefined;
  readonly frames: readonly MonitorFrame[];
}

/** Hands tsc-init these bytes as its program and waits for its end. */
function outcomeOf(bytes: Uint8Array, fds: readonly number[] = []): Outcome {
  using undo = new DisposableStack();
  const own = (fd: number): number => undo.adopt(fd, closeSync);
  const program = own(memfd_create('start-program', MFD_CLOEXEC));
  if (bytes.length > 0) writeSync(program, bytes);
  const [ours, theirs] = socketpair(AF_UNIX, SOCK_STREAM, 0).map(own) as [number, number];
  const none = own(openSync('/dev/null', 'r+'));
  const executable = own(openSync(prebuiltUrl('tsc-init'), 'r'));
  const { pidfd } = spawn({ executable, argv: ['tsc-init'], fds: [none, none, none, program, theirs, ...fds] });
  own(pidfd);
  const end = waitid(P_PIDFD, pidfd, WEXITED | __WALL);
  return { end, frames: framesIn(ours) };
}

/** What lies in our socket. The other end is still open here, so that an empty one says EAGAIN. */
function framesIn(ours: number): MonitorFrame[] {
  const pieces: Buffer[] = [];
  try {
    for (;;) pieces.push(recvmsg(ours, 65_536, MSG_DONTWAIT).data);
  } catch (error) {
    if (!hasCode(error, 'EAGAIN')) throw error;
  }
  return new FrameDecoder().decode(Buffer.concat(pieces));
}

/** Whether it was refused in an orderly way, or carried out: anything but a crash of the monitor or of its child. */
function isOrderly({ end, frames }: Outcome): boolean {
  const exit = frames.find((frame) => frame.type === 'exit');
  return end?.code === CLD_EXITED && exit?.signal === undefined;
}

const failed = (index: number, errno: number): object => ({
  end: expect.objectContaining({ code: CLD_EXITED, status: 1 }) as unknown,
  frames: [{ type: 'failed', index, errno }],
});

/** Operations of every shape of argument, harmless ones on this side of the clone. */
const operations: readonly Operation[] = [
  { op: 'keep', runDir: 0, log: { dir: 0, name: 'log', maxSizeBytes: 1000, maxFiles: 2 } },
  { op: 'clone', flags: CLONE_NEWNS | CLONE_NEWPID },
  { op: 'umask', mask: 0o22 },
  { op: 'chdir', path: '/' },
  { op: 'resolve', slot: 1, root: 0, path: 'made/here', missing: 'make-directory' },
  { op: 'prlimit', resource: 7, soft: 64n, hard: 64n },
  { op: 'setgroups', groups: [1, 2, 3] },
  { op: 'capbound', mask: 0xffn },
  { op: 'seccomp', flags: 0, filter: Uint8Array.of(6, 0, 0, 0, 0, 0, 0xff, 0x7f) },
  {
    op: 'exec',
    candidates: ['/nonexistent', '/bin/true'],
    argv: ['true', 'a', 'bc'],
    envp: ['A=b'],
    dieWithMonitor: true,
  },
];
const good: StartProgram = { inherited: 1, operations };
const onlyOperation = (operation: Operation): Buffer => encodeProgram({ inherited: 0, operations: [operation] });

const withWord = (bytes: Buffer, at: number, word: bigint): Buffer => {
  const changed = Buffer.from(bytes);
  changed.writeBigUInt64LE(BigInt.asUintN(64, word), at);
  return changed;
};

describeRoot('V15: a malformed start program', () => {
  it('is not what the tests below start from', () => {
    using dir = temporaryDirectory();
    expect(outcomeOf(encodeProgram(good), [dir.fd]).frames.map(({ type }) => type)).toEqual(['started', 'exit']);
  });

  it('is refused when it has been cut short anywhere', () => {
    using dir = temporaryDirectory();
    const whole = encodeProgram(good);
    for (let size = 0; size < whole.length; size += 8) {
      const asCut = outcomeOf(whole.subarray(0, size), [dir.fd]);
      expect(asCut).toEqual(failed(0, size === 0 ? EINVAL : EPROTO));
      if (size < HEADER_BYTES) continue;
      // Even if the header agrees.
      const cut = Buffer.from(whole.subarray(0, size));
      cut.writeUInt32LE(size, 8);
      const outcome = outcomeOf(cut, [dir.fd]);
      expect(outcome.end).toMatchObject({ code: CLD_EXITED, status: 1 });
      expect(outcome.frames).toMatchObject([{ type: 'failed', errno: EPROTO }]);
    }
  });

  it.each([
    ['a size below that of the header', 8, 8n],
    ['a size beyond the file', 8, 1n << 20n],
    ['more operations than there are', 8, 0xffff_ffff_0000_0000n],
    ['more descriptors than slots', 16, 129n],
    ['another magic', 0, 0n],
  ])('is refused for a header with %s', (_, at, word) => {
    const whole = onlyOperation({ op: 'umask', mask: 0 });
    const before = at === 8 && word > 0xffff_ffffn ? BigInt(whole.length) : 0n;
    const outcome = outcomeOf(withWord(whole, at, word + before));
    expect(outcome.end).toMatchObject({ code: CLD_EXITED, status: 1 });
    expect(outcome.frames).toMatchObject([{ type: 'failed', errno: EPROTO }]);
  });

  it('does not crash it, whatever word is replaced by whatever length', () => {
    using dir = temporaryDirectory();
    const whole = encodeProgram(good);
    const crashes: string[] = [];
    for (let at = 0; at < whole.length; at += 8) {
      for (const word of [
        0n,
        1n,
        0x80n,
        0xffffn,
        1n << 31n,
        1n << 32n,
        1n << 63n,
        -1n,
        -8n,
        -100n,
        BigInt(whole.length),
      ]) {
        const outcome = outcomeOf(withWord(whole, at, word), [dir.fd]);
        if (!isOrderly(outcome)) crashes.push(`${word} at ${at}: ${JSON.stringify(outcome)}`);
      }
    }
    expect(crashes).toEqual([]);
  });

  it('does not crash it when it is noise', () => {
    const header = encodeProgram({ inherited: 0, operations: [] });
    for (let round = 0; round < 200; round++) {
      const noise = randomBytes(1 + ((round * 41) % 4096));
      const bytes = Buffer.concat([header, noise]);
      bytes.writeUInt32LE(bytes.length, 8);
      bytes.writeUInt32LE(0xffff, 12);
      for (const program of [noise, bytes]) {
        const outcome = outcomeOf(program);
        expect([noise.toString('hex'), outcome.end?.code, outcome.end?.status]).toEqual([
          noise.toString('hex'),
          CLD_EXITED,
          1,
        ]);
      }
    }
  });

  it.each<[string, Operation, number]>([
    ['a slot beyond the last', { op: 'open', slot: 128, path: '/dev/null', flags: 0 }, EPROTO],
    ['the number of a slot beyond the last', { op: 'setns', fd: 1000, nstype: 0 }, EPROTO],
    ['a cleanup command of 33 words', { op: 'keep', cleanupCommand: Array<string>(33).fill('x') }, EPROTO],
    ['a path of 70 KiB', { op: 'chdir', path: 'x'.repeat(70 * 1024) }, 36],
    ['an id map of 70 KiB', { op: 'clone', flags: CLONE_NEWUSER, uidMap: '0 0 1\n'.repeat(12_000) }, EINVAL],
    ['a filter of 70 KiB', { op: 'seccomp', flags: 0, filter: Buffer.alloc(70 * 1024) }, EINVAL],
    ['no exec at its end', { op: 'umask', mask: 0o22 }, EPROTO],
  ])('is refused for %s', (_, operation, errno) => {
    expect(outcomeOf(onlyOperation(operation))).toEqual(failed(0, errno));
  });
});
