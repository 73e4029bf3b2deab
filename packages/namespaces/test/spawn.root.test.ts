import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { memfd_create } from '@tsc/sys';
import { beforeAll, describe, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { createNamespaces, createNetns, openNamespace, spawnInNamespaces } from '../src/index.ts';
import type { NamespaceType, ProcessExit, SpawnInNamespacesOptions } from '../src/index.ts';

const ownInode = (type: NamespaceType): number => statSync(`/proc/self/ns/${type}`).ino;

interface Finished extends ProcessExit {
  readonly output: string;
}

/** Runs a shell script in namespaces to its end. */
async function run(script: string, options: Partial<SpawnInNamespacesOptions> = {}): Promise<Finished> {
  using undo = new DisposableStack();
  const output = undo.adopt(memfd_create('output', 0), closeSync);
  const input = undo.adopt(openSync('/dev/null', 'r'), closeSync);
  const child = await spawnInNamespaces({
    command: '/bin/sh',
    args: ['-c', script],
    stdio: [input, output, output],
    ...options,
  });
  return { ...(await child.exit), output: readFileSync(`/proc/self/fd/${output}`, 'utf8') };
}

// tsc-init's file and the null device are opened once and kept.
beforeAll(() => run('true'));

describeRoot('createNamespaces', () => {
  it('makes namespaces that nobody is in, in the order asked for', async () => {
    const handles = await createNamespaces(['uts', 'net', 'cgroup', 'ipc']);
    expect(handles.map(({ type }) => type)).toEqual(['uts', 'net', 'cgroup', 'ipc']);
    for (const handle of handles) {
      expect(readlinkSync(`/proc/self/fd/${handle.fd}`)).toBe(`${handle.type}:[${handle.inode}]`);
      expect(handle.inode).not.toBe(ownInode(handle.type));
      handle.close();
    }
  });

  it('makes none when none, or one twice, is asked for', async () => {
    expect(await createNamespaces([])).toEqual([]);
    await expect(createNamespaces(['net', 'net'])).rejects.toThrow('there twice: net, net');
  });

  it('makes a network with nothing but a loopback device that is down', async () => {
    using netns = await createNetns();
    const { output } = await run('ip -o link', { join: [netns] });
    expect(output).toMatch(/^1: lo: <LOOPBACK> [^\n]*\n$/);
  });
});

describeRoot('a process in namespaces', () => {
  it.each<NamespaceType>(['cgroup', 'ipc', 'mnt', 'net', 'time', 'user', 'uts'])('gets a new one: %s', async (type) => {
    const { output } = await run('readlink /proc/self/ns/*', { create: [type] });
    const links = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'] as const;
    const differs = links.filter((link) => !output.includes(`${link}:[${ownInode(link)}]`));
    expect(differs).toEqual([type]);
  });

  it('is the first of a new pid namespace, whose procfs it sees, while this machine keeps its own', async () => {
    const before = readFileSync('/proc/self/mountinfo', 'utf8');
    const { output } = await run('echo $$; echo /proc/[0-9]*; grep -c . /proc/mounts >/dev/null && echo mounts', {
      create: ['pid', 'mnt'],
      mountProc: true,
    });
    expect(output).toBe('1\n/proc/1\nmounts\n');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
  });

  it('joins what another process is in', async () => {
    using netns = await createNetns();
    const first = await spawnInNamespaces({
      create: ['uts', 'pid', 'mnt', 'ipc'],
      join: [netns],
      hostname: 'first',
      mountProc: true,
      command: 'sleep',
      args: ['100'],
      stdio: 'ignore',
    });
    const types = ['uts', 'pid', 'mnt', 'ipc'] as const;
    using undo = new DisposableStack();
    const handles = types.map((type) => undo.use(openNamespace(first.hostPid, type)));
    const { output } = await run('hostname; cat /proc/1/comm; readlink /proc/self/ns/net', {
      join: [...handles, netns],
    });
    expect(output).toBe(`first\nsleep\nnet:[${netns.inode}]\n`);
    expect(hostname()).not.toBe('first');
    first.kill();
    // It is process 1, which ignores what it has no handler for.
    first.kill('SIGKILL');
    expect(await first.exit).toEqual({ exitCode: 137, signal: 9 });
  });

  it('is root inside and somebody else outside, with the ids that were mapped', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'userns-'));
    using undo = new DisposableStack();
    undo.defer(() => rmSync(dir, { recursive: true }));
    execFileSync('chmod', ['777', dir]);
    const ids = [{ containerId: 0, hostId: 100_000, size: 1000 }];
    const { output } = await run(
      `id; touch ${dir}/file; cat /etc/shadow >/dev/null 2>&1 || echo refused; hostname inside && hostname`,
      {
        create: ['user', 'uts'],
        uidMap: ids,
        gidMap: ids,
      },
    );
    expect(output).toBe('uid=0(root) gid=0(root) groups=0(root)\nrefused\ninside\n');
    expect(statSync(join(dir, 'file'))).toMatchObject({ uid: 100_000, gid: 100_000 });
  });

  it('joins a user namespace and what belongs to it', async () => {
    const ids = [{ containerId: 0, hostId: 100_000, size: 1000 }];
    const first = await spawnInNamespaces({
      create: ['user', 'net'],
      uidMap: ids,
      gidMap: ids,
      command: 'sleep',
      args: ['100'],
      stdio: 'ignore',
    });
    using user = openNamespace(first.hostPid, 'user');
    using net = openNamespace(first.hostPid, 'net');
    const { output, exitCode } = await run('id -u; ip link set lo up && ip -o link | grep -c LOOPBACK,UP', {
      join: [user, net],
      create: ['mnt'],
    });
    expect([output, exitCode]).toEqual(['0\n1\n', 0]);
    first.kill('SIGTERM');
    expect((await first.exit).signal).toBe(15);
  });

  it('has the arguments, environment and directory that were given, and no descriptor beyond 2', async () => {
    const { output } = await run('echo "$@"; pwd; env | sort; ls /proc/self/fd | tr "\\n" " "', {
      args: ['-c', 'echo "$@"; pwd; env | grep -v ^PWD | sort; ls /proc/self/fd | tr "\\n" " "', 'sh', 'a b', 'ü'],
      env: { A: 'x=y', PATH: '/bin' },
      cwd: '/usr/lib',
      create: ['uts'],
    });
    expect(output).toBe('a b ü\n/usr/lib\nA=x=y\nPATH=/bin\n0 1 2 3 ');
  });

  it('tells of its exit code and of the signal that ended it', async () => {
    expect(await run('exit 7', { create: ['net'] })).toMatchObject({ exitCode: 7, signal: undefined });
    expect(await run('kill -KILL $$')).toMatchObject({ exitCode: 137, signal: 9 });
  });

  it('gets signals, by number or name, and one after its end is no error', async () => {
    const child = await spawnInNamespaces({ command: 'sleep', args: ['100'], stdio: 'ignore' });
    child.kill();
    expect(await child.exit).toEqual({ exitCode: 143, signal: 15 });
    child.kill(9);
    const other = await spawnInNamespaces({ command: 'sleep', args: ['100'], stdio: 'ignore' });
    other.kill(2);
    expect((await other.exit).signal).toBe(2);
  });

  it('ends when it is aborted, and does not start when it was before', async () => {
    const controller = new AbortController();
    const child = await spawnInNamespaces({
      command: 'sleep',
      args: ['100'],
      stdio: 'ignore',
      signal: controller.signal,
    });
    controller.abort();
    expect((await child.exit).signal).toBe(9);
    await expect(run('true', { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it.each<[string, Partial<SpawnInNamespacesOptions>, object]>([
    [
      'not there',
      { command: '/nonexistent' },
      { code: 'NAMESPACE_COMMAND_NOT_FOUND', errno: 'ENOENT', path: '/nonexistent' },
    ],
    ['not in PATH', { command: 'no-such-command' }, { code: 'NAMESPACE_COMMAND_NOT_FOUND' }],
    ['a directory', { command: '/etc' }, { code: 'NAMESPACE_COMMAND_NOT_EXECUTABLE', errno: 'EISDIR' }],
    ['no program', { command: '/etc/passwd' }, { code: 'NAMESPACE_COMMAND_NOT_EXECUTABLE', errno: 'EACCES' }],
    [
      'in no directory',
      { cwd: '/nonexistent' },
      {
        code: 'NAMESPACE_NOT_FOUND',
        message: 'cannot change to directory /nonexistent: ENOENT: no such file or directory',
      },
    ],
    ['given too much', { args: ['x'.repeat(200_000)] }, { code: 'NAMESPACE_REFUSED', errno: 'E2BIG' }],
    ['in no namespace', { join: [{ type: 'net', fd: 0 }] }, { code: 'NAMESPACE_REFUSED' }],
  ])('is an error when the command is %s', async (_, options, error) => {
    await expect(run('true', { create: ['uts'], ...options })).rejects.toMatchObject(error);
  });

  it('is an error when its script has no interpreter, and runs one that has', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'script-'));
    using undo = new DisposableStack();
    undo.defer(() => rmSync(dir, { recursive: true }));
    const script = (name: string, text: string): string => {
      writeFileSync(join(dir, name), text, { mode: 0o755 });
      return join(dir, name);
    };
    expect((await run('', { command: script('good', '#!/bin/sh\necho "$1"\n'), args: ['arg'] })).output).toBe('arg\n');
    await expect(run('', { command: script('bad', 'echo\n') })).rejects.toMatchObject({
      code: 'NAMESPACE_COMMAND_NOT_EXECUTABLE',
      errno: 'ENOEXEC',
    });
    await expect(run('', { command: script('lost', '#!/nonexistent\n') })).rejects.toMatchObject({
      code: 'NAMESPACE_COMMAND_NOT_FOUND',
    });
  });
});

describe('an ordinary user', () => {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

  it('is root in a user namespace of its own, and what is made in it is its own', () => {
    const { stdout, stderr } = spawnSync(
      'setpriv',
      [
        '--reuid=1000',
        '--regid=1000',
        '--clear-groups',
        process.execPath,
        '--no-warnings',
        '--import',
        path('resolve-sources.mjs'),
        path('as-ordinary-user.ts'),
      ],
      { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
    );
    expect(stderr).toBe('0\n0\n 0 1000 1\ninside\n1\n/proc/1\n1\nmounted\n');
    expect(JSON.parse(stdout)).toEqual({
      inside: { exitCode: 0 },
      netns: 'NAMESPACE_NOT_PERMITTED',
      withoutUser: 'NAMESPACE_NOT_PERMITTED',
      foreignIds: 'NAMESPACE_NOT_PERMITTED',
    });
  });
});
