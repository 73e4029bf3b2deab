import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { CLONE_NEWNS, CLONE_NEWPID, encodeFrame, encodeSignal, memfd_create, pidfd_send_signal } from '../src/index.ts';
import { CLD_EXITED, CLD_KILLED, InitRun, isRunning, privateBytes, warmUp } from './init-run.ts';
import { temporaryDirectory } from './temporary-directory.ts';

beforeAll(warmUp);

const MEGABYTE = 1024 * 1024;

/** Waits for what another process does, which nothing tells of. */
async function eventually(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    await sleep(5);
    if (performance.now() > deadline) throw new Error(`did not come about: ${holds.toString()}`);
  }
}

describeRoot('a process that tsc-init keeps', () => {
  it('gives its output and its exit code', async () => {
    await using run = InitRun.shell('echo out; echo err >&2; exit 7');
    expect(await run.exitCode()).toBe(7);
    expect([run.output('stdout'), run.output('stderr')]).toEqual(['out\n', 'err\n']);
    expect([run.frames[0]?.type, run.frames.at(-1)?.type]).toEqual(['started', 'exit']);
    expect(await run.ended()).toMatchObject({ code: CLD_EXITED, status: 0 });
  });

  it.each([
    ['TERM', 143, 15],
    ['KILL', 137, 9],
    ['SEGV', 139, 11],
  ])('tells of SIG%s', async (name, exitCode, signal) => {
    await using run = InitRun.shell(`kill -${name} $$; sleep 100`);
    await run.ended();
    expect(run.frame('exit')).toEqual({ type: 'exit', exitCode, signal });
  });

  it.each([
    ['/nonexistent', 2],
    ['/etc/passwd/x', 2], // as the shell: a command that isn't there
    ['/etc', 21],
    ['/etc/passwd', 13],
  ])('is not there when %s is to be executed', async (path, errno) => {
    await using run = InitRun.start([path]);
    expect(await run.ended()).toMatchObject({ code: CLD_EXITED, status: 1 });
    expect(run.frames).toEqual([{ type: 'failed', index: 2, errno }]);
  });

  it('starts as programs expect it: descriptors 0 to 2, no signal blocked or ignored, a session of its own', async () => {
    using dir = temporaryDirectory();
    await using run = InitRun.shell('ls /proc/self/fd; grep -E "Sig(Blk|Ign)" /proc/self/status', { fds: [dir.fd] });
    expect(await run.exitCode()).toBe(0);
    // 3 is the directory that ls reads.
    expect(run.output()).toBe(`0\n1\n2\n3\nSigBlk:\t${'0'.repeat(16)}\nSigIgn:\t${'0'.repeat(16)}\n`);
  });

  it('has the null device as its input unless asked otherwise, and cannot change the one of the host', async () => {
    const before = readFileSync('/proc/self/mountinfo', 'utf8');
    await using run = InitRun.shell('stat -L -c %t:%T /dev/stdin; wc -c; chmod 600 /dev/stdin; chown 1 /dev/stdin');
    await run.ended();
    expect(run.output()).toBe('1:3\n0\n');
    expect(run.output('stderr').match(/Read-only file system/g)).toHaveLength(2);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
  });

  it('may keep the streams of who started it', async () => {
    const output = memfd_create('output', 0);
    const input = openSync('/etc/hostname', 'r');
    await using run = InitRun.start(['/bin/cat'], { keep: { inherit: true }, stdio: [input, output, output] });
    expect(await run.exitCode()).toBe(0);
    expect(readFileSync(`/proc/self/fd/${output}`, 'utf8')).toBe(readFileSync('/etc/hostname', 'utf8'));
    expect(run.frames.map(({ type }) => type)).toEqual(['started', 'exit']);
    closeSync(output);
    closeSync(input);
  });

  it('has its arguments and environment as they were given, thousands of them, and up to the limit of the kernel', async () => {
    const args = Array.from({ length: 12_000 }, (_, index) => `a${index}`);
    const long = 'x'.repeat(70 * 1024);
    await using run = InitRun.start(['/bin/sh', '-c', 'echo $# ${#LONG} "$0"', 'ä ö', ...args], {
      env: [`LONG=${long}`],
    });
    expect(await run.exitCode()).toBe(0);
    expect(run.output()).toBe(`12000 ${long.length} ä ö\n`);
    await using refused = InitRun.start(['/bin/echo', 'x'.repeat(128 * 1024)]);
    await refused.ended();
    expect(refused.frames).toEqual([{ type: 'failed', index: 2, errno: 7 }]); // E2BIG
  });

  it('gets signals over the connection', async () => {
    await using run = InitRun.shell('trap "echo usr1; exit 3" USR1; echo ready; while :; do sleep 0.01; done');
    await run.untilOutput('ready');
    run.socket.write(encodeSignal(10));
    expect(await run.exitCode()).toBe(3);
    expect(run.output()).toBe('ready\nusr1\n');
  });

  it('dies with its monitor', async () => {
    await using run = InitRun.shell('echo ready; exec sleep 100');
    await run.untilOutput('ready');
    const pid = await run.started();
    expect(isRunning(pid)).toBe(true);
    pidfd_send_signal(run.init.pidfd, 9);
    expect(await run.ended()).toMatchObject({ code: CLD_KILLED, status: 9 });
    await eventually(() => !isRunning(pid));
  });

  it('lives on when who started it has gone', async () => {
    using dir = temporaryDirectory();
    await using run = InitRun.shell(`echo ready; sleep 0.1; echo on > ${dir.at('witness')}`);
    await run.untilOutput('ready');
    run.socket.destroy();
    expect(await run.ended()).toMatchObject({ code: CLD_EXITED, status: 0 });
    expect(readFileSync(dir.at('witness'), 'utf8')).toBe('on\n');
  });
});

describeRoot('standard input', () => {
  it('is relayed in order, 100 MB through cat, and the monitor stays small', async () => {
    const total = 100 * MEGABYTE;
    await using run = InitRun.start(['/bin/cat'], { keep: { stdin: true } });
    await run.started();
    let received = 0;
    let wrong = 0;
    let most = 0;
    const piece = Buffer.from(Array.from({ length: 32 * 1024 }, (_, index) => index & 0xff));
    const reading = (async () => {
      while (received < total) {
        await run.until(() => run.frames.some(({ type }) => type !== 'exit'));
        for (const frame of run.frames.splice(0, run.frames.findLastIndex(({ type }) => type !== 'exit') + 1)) {
          if (frame.type !== 'stdout') continue; // 'started'; the end comes after the last byte
          const at = received % piece.length;
          const expected = Buffer.concat([piece.subarray(at), piece.subarray(0, at)]).subarray(0, frame.data.length);
          if (!frame.data.equals(expected)) wrong++;
          received += frame.data.length;
        }
        if (Math.random() < 0.01) most = Math.max(most, privateBytes(run.init.pid));
      }
    })();
    for (let sent = 0; sent < total; sent += piece.length) {
      run.send('stdin', piece);
      if (run.socket.writableNeedDrain) await once(run.socket, 'drain');
    }
    run.send('stdinEof');
    await reading;
    expect(await run.exitCode()).toBe(0);
    expect([received, wrong]).toEqual([total, 0]);
    expect(most).toBeLessThan(MEGABYTE);
  });

  it('ends at its end, with what came before', async () => {
    await using run = InitRun.start(['/usr/bin/sha1sum'], { keep: { stdin: true } });
    // In one write: by a second one the process and its monitor may have ended.
    const frames = [
      encodeFrame('stdin', Buffer.alloc(30_000, 'x')),
      encodeFrame('stdinEof'),
      encodeFrame('stdin', Buffer.from('too late')),
    ];
    run.socket.write(Buffer.concat(frames));
    expect(await run.exitCode()).toBe(0);
    expect(run.output()).toBe(`${sha1('x'.repeat(30_000))}  -\n`);
  });

  it('ends with the connection when that was asked for', async () => {
    using dir = temporaryDirectory();
    await using run = InitRun.shell(`cat > ${dir.at('copy')}; echo done >> ${dir.at('copy')}`, {
      keep: { stdin: true, stdinOnce: true },
    });
    run.send('stdin', 'words\n');
    run.socket.end();
    expect(await run.ended()).toMatchObject({ code: CLD_EXITED, status: 0 });
    expect(readFileSync(dir.at('copy'), 'utf8')).toBe('words\ndone\n');
  });

  it('of a process that does not read holds nobody up, and is forgotten when it is closed', async () => {
    await using run = InitRun.shell('echo ready; read -r line; exec <&-; echo closed; sleep 0.2; exit 4', {
      keep: { stdin: true },
    });
    await run.untilOutput('ready');
    for (let sent = 0; sent < 4 * MEGABYTE; sent += 32 * 1024) run.send('stdin', `${'y'.repeat(32 * 1024 - 1)}\n`);
    expect(await run.exitCode()).toBe(4);
    expect(run.output()).toBe('ready\nclosed\n');
  });
});

describeRoot('output that nobody reads', () => {
  it('makes the process wait, and the monitor does not grow', async () => {
    using dir = temporaryDirectory();
    // dd tells how much it has written when it gets SIGUSR1.
    await using run = InitRun.shell(`dd if=/dev/zero bs=64k count=1600 2>${dir.at('progress')}; echo end >&2`);
    const pid = await run.started();
    run.socket.pause();
    const written = (): string => readFileSync(`/proc/${childOf(pid)}/io`, 'utf8').match(/wchar: (\d+)/)?.[1] ?? '';
    let last = '';
    await eventually(() => {
      try {
        const now = written();
        const still = now === last && now !== '' && Number(now) > 0;
        last = now;
        return still;
      } catch {
        return false;
      }
    });
    await sleep(200);
    expect(written()).toBe(last);
    expect(Number(last)).toBeLessThan(2 * MEGABYTE);
    expect(privateBytes(run.init.pid)).toBeLessThan(MEGABYTE);
    run.socket.resume();
    expect(await run.exitCode()).toBe(0);
    expect(run.bytes()).toHaveLength(100 * MEGABYTE);
    expect(run.output('stderr')).toBe('end\n');
  });

  it('is all there, and the exit status, for who reads it late', async () => {
    await using run = InitRun.shell('head -c 700000 /dev/zero');
    await run.started();
    for (let read = 0; !run.socket.destroyed && run.frame('exit') === undefined; read++) {
      run.socket.pause();
      await sleep(20);
      run.socket.resume();
      await run.changed();
    }
    expect(await run.exitCode()).toBe(0);
    expect(run.bytes()).toHaveLength(700_000);
  });
});

describeRoot('--init', () => {
  const reap = [{ op: 'reap' } as const];
  it.each([
    ['exit 5', 5],
    ['kill -TERM $$', 143],
  ])('ends as its child does: %s', async (script, exitCode) => {
    await using run = InitRun.shell(script, { operations: reap, cloneFlags: CLONE_NEWPID });
    expect(await run.exitCode()).toBe(exitCode);
    expect(run.frame('exit')?.signal).toBeUndefined();
  });

  it('is process 1, passes signals on and reaps orphans', async () => {
    const script = `
      trap 'echo hup' HUP; trap 'echo term; exit 6' TERM
      mount -t proc proc /proc; echo $$
      (sh -c 'exit 0' & exec sh -c 'exit 0') & wait
      i=0; while [ "$i" -lt 200 ] && grep -qs '^State:.Z' /proc/[0-9]*/status; do i=$((i + 1)); sleep 0.01; done
      grep -ls '^State:.Z' /proc/[0-9]*/status
      echo ready; while :; do sleep 0.01; done`;
    await using run = InitRun.shell(script, {
      operations: [{ op: 'mount', target: '/', flags: 0x44000 }, ...reap],
      cloneFlags: CLONE_NEWPID | CLONE_NEWNS,
    });
    await run.untilOutput('ready');
    run.socket.write(encodeSignal(1));
    await run.untilOutput('hup');
    run.socket.write(encodeSignal(15));
    expect(await run.exitCode()).toBe(6);
    expect(run.output()).toBe('2\nready\nhup\nterm\n');
  });

  it('tells of a command that is not there', async () => {
    await using run = InitRun.start(['/nonexistent'], { operations: reap, cloneFlags: CLONE_NEWPID });
    await run.ended();
    expect(run.frames).toEqual([{ type: 'failed', index: 3, errno: 2 }]);
  });
});

describeRoot('V01: the file that tsc-init runs from', () => {
  it('can be neither written nor executed to any effect by whom it starts', async () => {
    const script = `
      mount -t proc proc /proc
      for how in 'echo x > /proc/1/exe' 'echo x >> /proc/1/exe' ': > /proc/1/exe'; do (eval "$how") 2>&1 | grep -c .; done
      head -c 4 /proc/1/exe | tail -c 3; echo; /proc/1/exe; echo $?`;
    await using run = InitRun.shell(script, {
      operations: [{ op: 'mount', target: '/', flags: 0x44000 }, { op: 'reap' }],
      cloneFlags: CLONE_NEWPID | CLONE_NEWNS,
    });
    expect(await run.exitCode()).toBe(0);
    expect(run.output()).toBe('1\n1\n1\nELF\n1\n');
    await using self = InitRun.start(['/proc/self/exe']);
    expect(await self.exitCode()).toBe(1);
  });
});

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

function childOf(pid: number): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
}
