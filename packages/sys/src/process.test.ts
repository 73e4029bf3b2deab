import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { runShell } from '../test/program.ts';
import { owned, thrownBy } from '../test/temporary-directory.ts';
import { fcntl, F_ADD_SEALS, F_SEAL_ALL, memfd_create, MFD_ALLOW_SEALING, MFD_EXEC } from './file.ts';
import * as sys from './process.ts';

const CLD_EXITED = 1;
const CLD_KILLED = 2;
const SIGKILL = 9;
const PR_GET_NAME = 16;

function start(path: string, argv: readonly string[], fds: readonly number[]): sys.SpawnedProcess {
  using executable = owned(openSync(path, 'r'));
  return sys.spawn({ executable: executable.fd, argv, fds });
}

/** The shell's own descriptor for the listing is gone when it is asked about, and has no target. */
const listDescriptors = 'for fd in /proc/$$/fd/*; do printf "%s " "${fd##*/}"; readlink "$fd" || echo; done';

const linksOf = (output: string): Map<number, string | undefined> =>
  new Map(
    [...output.matchAll(/^(\d+) (.+)$/gm)]
      .map(([, fd, target]): [number, string | undefined] => [Number(fd), target])
      .sort(([left], [right]) => left - right),
  );

const wait = (pidfd: number): sys.WaitResult | undefined => sys.waitid(sys.P_PIDFD, pidfd, sys.WEXITED | sys.__WALL);

describe('spawn', () => {
  it('runs a program and tells how it ended', () => {
    const { result, output } = runShell('echo "$PATH"; echo wrong >&2; exit 7');
    expect(output).toBe('/usr/sbin:/usr/bin:/sbin:/bin\nwrong\n');
    expect(result).toMatchObject({ code: CLD_EXITED, status: 7 });
  });

  it('runs a sealed copy in memory', () => {
    using copy = owned(memfd_create('program', MFD_ALLOW_SEALING | MFD_EXEC));
    writeFileSync(copy.fd, readFileSync('/bin/cat'));
    fcntl(copy.fd, F_ADD_SEALS, F_SEAL_ALL);
    using input = owned(memfd_create('input', 0));
    using output = owned(memfd_create('output', 0));
    writeFileSync(`/proc/self/fd/${String(input.fd)}`, 'through cat');
    const { pidfd } = sys.spawn({ executable: copy.fd, argv: ['cat'], fds: [input.fd, output.fd, output.fd] });
    expect(wait(pidfd)).toMatchObject({ code: CLD_EXITED, status: 0 });
    closeSync(pidfd);
    expect(readFileSync(`/proc/self/fd/${String(output.fd)}`, 'utf8')).toBe('through cat');
  });

  it('passes descriptors in any order, and no others', () => {
    using left = owned(memfd_create('left', 0));
    using right = owned(memfd_create('right', 0));
    // Descriptors 0 to 2 lose their numbers before they are wanted here.
    const { output } = runShell(listDescriptors, [right.fd, left.fd, 0, left.fd]);
    const links = linksOf(output);
    expect(links.get(3)).toBe('/memfd:right (deleted)');
    expect(links.get(4)).toBe('/memfd:left (deleted)');
    expect(links.get(6)).toBe('/memfd:left (deleted)');
    expect([...links.keys()]).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('passes a descriptor that has its number already', () => {
    using file = owned(memfd_create('stays', 0));
    const { output } = runShell(listDescriptors, [...new Array<number>(file.fd - 3).fill(0), file.fd]);
    expect(linksOf(output).get(file.fd)).toBe('/memfd:stays (deleted)');
  });

  it('swaps descriptors below their count', () => {
    using files = new DisposableStack();
    const names = Array.from({ length: 40 }, (_, index) => `file${String(index)}`);
    const fds = names.map((name) => files.adopt(memfd_create(name, 0), closeSync));
    // Long enough that most of our descriptors are targets too.
    const passed = [...fds, ...fds].reverse();
    const links = linksOf(runShell(listDescriptors, passed).output);
    passed.forEach((fd, index) => {
      expect(links.get(index + 3)).toBe(`/memfd:${names[fds.indexOf(fd)] ?? ''} (deleted)`);
    });
  });

  it('starts a session with default signals, none blocked or ignored', () => {
    const { output } = runShell('cat /proc/self/status /proc/self/stat; echo; echo $$');
    expect(output).toMatch(/^SigBlk:\s0+$/m);
    expect(output).toMatch(/^SigIgn:\s0+$/m);
    const stat = /^\d+ \(cat\) .*$/m.exec(output)?.[0].split(' ');
    const shell = output.trimEnd().split('\n').at(-1);
    expect(stat?.[5]).toBe(shell);
  });

  it('names the step that failed, and leaves no child', () => {
    const failures: [() => unknown, object][] = [
      [() => start('/etc/passwd', ['passwd'], []), { syscall: 'execveat', code: 'EACCES', path: 'passwd' }],
      [() => start('/bin/true', ['true'], [0, 1, 9999]), { syscall: 'dup3', code: 'EBADF' }],
      [() => start('/bin/true', ['true'], [-1]), { syscall: 'fcntl', code: 'EBADF' }],
    ];
    for (const [call, expected] of failures) expect(thrownBy(call)).toMatchObject(expected);
    const children = readFileSync(`/proc/self/task/${String(process.pid)}/children`, 'utf8');
    expect(children).toBe('');
  });

  it('refuses arguments that are not strings', () => {
    const argv = ['true', 1] as unknown as string[];
    expect(thrownBy(() => start('/bin/true', argv, []))).toMatchObject({ name: 'TypeError' });
    expect(thrownBy(() => start('/bin/true', ['a\0b'], []))).toMatchObject({ name: 'TypeError' });
  });

  it('leaks neither descriptors nor stacks', () => {
    const measure = (): { fds: number; maps: number } => ({
      fds: readdirSync('/proc/self/fd').length,
      maps: readFileSync('/proc/self/maps', 'utf8').split('\n').length,
    });
    const once = (): void => {
      const { pidfd } = start('/bin/true', ['true'], [0, 1, 2]);
      wait(pidfd);
      closeSync(pidfd);
      thrownBy(() => start('/etc/passwd', ['passwd'], [0, 1, 2]));
    };
    once();
    const before = measure();
    for (let i = 0; i < 500; i++) once();
    const after = measure();
    expect(after.fds).toBe(before.fds);
    // Node's own heap may grow by a few; a thousand stacks with their guards would be two thousand.
    expect(after.maps - before.maps).toBeLessThan(200);
  });
});

describe('a process', () => {
  it('is signalled through its descriptor, then reaped', () => {
    const { pid, pidfd } = start('/bin/sleep', ['sleep', '60'], [0, 1, 2]);
    using opened = owned(sys.pidfd_open(pid));
    const waitNow = (): sys.WaitResult | undefined =>
      sys.waitid(sys.P_PID, pid, sys.WEXITED | sys.__WALL | sys.WNOHANG);
    expect(waitNow()).toBeUndefined();
    sys.pidfd_send_signal(opened.fd, SIGKILL);
    expect(wait(pidfd)).toEqual({ pid, code: CLD_KILLED, status: SIGKILL });
    closeSync(pidfd);
    expect(thrownBy(waitNow)).toMatchObject({ code: 'ECHILD', syscall: 'waitid' });
    expect(thrownBy(() => sys.pidfd_open(pid))).toMatchObject({ code: 'ESRCH' });
  });

  it('is asked and told through prctl', () => {
    const PR_GET_DUMPABLE = 3;
    expect([0, 1, 2]).toContain(sys.prctl(PR_GET_DUMPABLE));
    expect(thrownBy(() => sys.prctl(PR_GET_NAME, 1))).toMatchObject({ code: 'EFAULT', syscall: 'prctl' });
  });
});

describe('unshare', () => {
  it('rejects with what the kernel said', async () => {
    await expect(sys.unshare(0x40)).rejects.toMatchObject({ name: 'SysError', code: 'EINVAL', syscall: 'unshare' });
  });
});
