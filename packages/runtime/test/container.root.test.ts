import { readFileSync, readdirSync, statSync, symlinkSync } from 'node:fs';

import { setTimeout as sleep } from 'node:timers/promises';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { TestContainer, run, shell, warmUp } from './test-container.ts';

beforeAll(warmUp);

const mountOn = (destination: string, source: string, options: readonly string[] = []) =>
  ({ destination, type: 'bind', source, options: ['rbind', ...options] }) as const;

describeRoot('a container', () => {
  it('runs a command in its own root and tells of its output and exit code', async () => {
    expect(await shell('echo out; echo err >&2; cat /etc/passwd | head -1; exit 3')).toEqual({
      exitCode: 3,
      stdout: 'out\nroot:x:0:0:root:/root:/bin/sh\n',
      stderr: 'err\n',
    });
  });

  it('has processes, name, network and mounts of its own', async () => {
    const { stdout } = await shell(
      'echo $$; echo /proc/[0-9]*; hostname; ifconfig -a | grep -c "Link encap"; ifconfig lo | grep -o UP',
      {
        hostname: 'own',
      },
    );
    expect(stdout).toBe('1\n/proc/1\nown\n1\nUP\n');
  });

  it('finds Docker’s mounts and devices', async () => {
    const { stdout } = await shell(
      'cut -d" " -f2,3 /proc/mounts | grep -v "^/proc/\\|^/sys/firm\\|^/sys/devices"; ls /dev; stat -c "%t:%T %a" /dev/null /dev/tty; for link in fd ptmx; do readlink /dev/$link; done',
    );
    expect(stdout.split('\n')).toEqual([
      ...[
        '/ overlay',
        '/proc proc',
        '/dev tmpfs',
        '/dev/pts devpts',
        '/sys sysfs',
        '/sys/fs/cgroup tmpfs',
        '/dev/mqueue mqueue',
        '/dev/shm tmpfs',
      ],
      ...[
        'core',
        'fd',
        'full',
        'mqueue',
        'null',
        'ptmx',
        'pts',
        'random',
        'shm',
        'stderr',
        'stdin',
        'stdout',
        'tty',
        'urandom',
        'zero',
      ],
      ...['1:3 666', '5:0 666', '/proc/self/fd', 'pts/ptmx', ''],
    ]);
  });

  it('keeps its changes in its own layer', async () => {
    await using container = await TestContainer.start(['sh', '-c', 'echo new > /etc/new; rm /etc/group; ls /etc']);
    expect((await container.finished()).stdout).toBe('new\npasswd\n');
    expect(readdirSync(container.root.path('etc')).sort()).toEqual(['group', 'passwd']);
  });

  it('can have a read-only root, in which mounts are writable', async () => {
    const { stdout } = await shell(
      'touch /new || echo refused; touch /data/new && echo written; touch /dev/shm/new && echo shared',
      {
        readonlyRootfs: true,
        mounts: [{ destination: '/data', type: 'tmpfs', source: 'tmpfs' }],
      },
    );
    expect(stdout).toBe('refused\nwritten\nshared\n');
  });

  it('has bind mounts of directories and files, read-only where asked', async () => {
    const { stdout } = await shell(
      'cat /some/where/new/alive /a/file; touch /some/where/new/x || echo refused; echo more >> /rw/alive; cat /rw/alive',
      {
        change: (spec, root) => ({
          ...spec,
          mounts: [
            ...(spec.mounts ?? []),
            mountOn('/some/where/new', root.canaryDir, ['ro']),
            mountOn('/a/file', `${root.canaryDir}/alive`),
            mountOn('/rw', root.canaryDir),
          ],
        }),
      },
    );
    expect(stdout).toBe('canary\ncanary\nrefused\ncanary\nmore\n');
  });

  it('has mounts with the attributes that were asked for', async () => {
    const { stdout } = await shell('grep -E " /(a|b|c) " /proc/mounts | cut -d" " -f2,4', {
      change: (spec, root) => ({
        ...spec,
        mounts: [
          ...(spec.mounts ?? []),
          mountOn('/a', root.canaryDir, ['noatime', 'nosuid', 'noexec']),
          mountOn('/b', root.canaryDir, ['noatime', 'relatime', 'nodev', 'nodiratime']),
          { destination: '/c', type: 'tmpfs', options: ['strictatime', 'size=64k', 'mode=700', 'ro', 'rw'] },
        ],
      }),
    });
    const [a, b, c] = stdout.split('\n');
    expect(a).toMatch(/^\/a rw,nosuid,noexec,noatime/);
    expect(b).toMatch(/^\/b rw,nodev,nodiratime,relatime/);
    expect(c).toMatch(/^\/c rw,size=64k,mode=700/);
  });

  it('makes what a link of the image leads to, as for the resolv.conf of many images', async () => {
    const { stdout } = await shell('cat /etc/resolv.conf /link/dir/alive; ls /run/stub /new', {
      image: (root) => {
        symlinkSync('../run/stub/resolv.conf', root.path('etc/resolv.conf'));
        symlinkSync('/new', root.path('link'));
      },
      change: (spec, root) => ({
        ...spec,
        mounts: [
          ...(spec.mounts ?? []),
          mountOn('/etc/resolv.conf', `${root.canaryDir}/alive`),
          mountOn('/link/dir', root.canaryDir),
        ],
      }),
    });
    expect(stdout).toBe('canary\ncanary\n/new:\ndir\n\n/run/stub:\nresolv.conf\n');
  });

  it('can have the devices of the host, and makes none there', async () => {
    const before = readdirSync('/dev').sort();
    const { stdout, exitCode } = await shell('ls /dev | grep -c .; tty; test -c /dev/null && echo null', {
      mounts: [mountOn('/dev', '/dev')],
      terminal: true,
    });
    expect([exitCode, stdout]).toEqual([
      0,
      `${before.length}\r\n${/\/dev\/pts\/\d+/.exec(stdout)?.[0] ?? '?'}\r\nnull\r\n`,
    ]);
    expect(readdirSync('/dev').sort()).toEqual(before);
  });

  it('runs as the user, with the groups, limits, mask and environment that were asked for', async () => {
    const { stdout } = await shell('id -u; id -g; id -G; umask; ulimit -n; cat /proc/self/oom_score_adj; env | sort', {
      user: { uid: 1000, gid: 1001, additionalGids: [5, 6], umask: 0o27 },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
      oomScoreAdj: 500,
      env: ['PATH=/bin', 'A=b c'],
    });
    expect(stdout).toBe('1000\n1001\n1001 5 6\n0027\n100\n500\nA=b c\nPATH=/bin\nPWD=/\nSHLVL=1\n');
  });

  it('sets kernel parameters that are its own', async () => {
    const { stdout } = await shell(
      'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax /proc/sys/net/core/somaxconn',
      {
        sysctl: { 'kernel.shmmax': '123456', 'net.core.somaxconn': '77' },
      },
    );
    expect(stdout).toBe('0\n123456\n77\n');
  });

  it('may gain no privileges when it was asked to', async () => {
    const { stdout } = await shell('grep -E "NoNewPrivs|Seccomp:" /proc/self/status', { noNewPrivileges: true });
    expect(stdout).toBe('NoNewPrivs:\t1\nSeccomp:\t2\n');
  });

  it('ends by a signal, and with it all that runs in it', async () => {
    await using container = await TestContainer.start([
      'sh',
      '-c',
      'sleep 1000 & trap "exit 0" TERM; echo ready; wait',
    ]);
    await container.until('ready');
    container.connection.signal(15);
    expect((await container.finished()).exitCode).toBe(0);
    await using stubborn = await TestContainer.idle();
    stubborn.connection.signal(15); // process 1 ignores what it doesn't handle
    stubborn.connection.signal(9);
    expect(await stubborn.connection.exit).toEqual({ exitCode: 137, signal: 9 });
  });

  it('with an init passes signals on to its command', async () => {
    await using container = await TestContainer.start(['sh', '-c', 'echo $$; exec sleep 1000'], { reap: true });
    await container.until('2\n');
    container.connection.signal(15);
    expect((await container.finished()).exitCode).toBe(143);
  });

  it.each([
    [
      ['no-such-command'],
      { code: 'RUNTIME_COMMAND_NOT_FOUND', message: 'exec: "no-such-command": executable file not found in $PATH' },
    ],
    [
      ['/no/such/file'],
      { code: 'RUNTIME_COMMAND_NOT_FOUND', message: 'exec: "/no/such/file": no such file or directory' },
    ],
    [['/etc'], { code: 'RUNTIME_COMMAND_NOT_EXECUTABLE', message: 'exec: "/etc": is a directory' }],
    [['/etc/passwd'], { code: 'RUNTIME_COMMAND_NOT_EXECUTABLE', message: 'exec: "/etc/passwd": permission denied' }],
  ])('says what is wrong with the command %s', async (args, error) => {
    await expect(run(args)).rejects.toMatchObject(error);
  });

  it('says what is wrong with a mount, and leaves nothing', async () => {
    await expect(run(['true'], { mounts: [mountOn('/x', '/no/such/dir')] })).rejects.toMatchObject({
      code: 'RUNTIME_START_FAILED',
      path: '/no/such/dir',
    });
    const mounts = [{ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['size=nonsense'] }];
    await expect(run(['true'], { mounts })).rejects.toThrow(
      'cannot mount option size=nonsense for the mount on /x: EINVAL: invalid argument',
    );
    await expect(
      run(['true'], { mounts: [{ destination: '/bin/busybox', type: 'tmpfs', source: 'tmpfs' }] }),
    ).rejects.toThrow(
      'cannot attach for the mount on /bin/busybox: EINVAL: invalid argument (a directory goes on a directory',
    );
  });

  it('two hundred times leaves nothing behind', async () => {
    await using container = await TestContainer.idle();
    const facts = (): unknown => [readdirSync('/proc/self/fd').length, readFileSync('/proc/self/mountinfo', 'utf8')];
    const before = facts();
    for (let round = 0; round < 10; round++) {
      const results = await Promise.all(Array.from({ length: 10 }, (_, index) => run(['sh', '-c', `exit ${index}`])));
      expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      const execs = await Promise.all(Array.from({ length: 10 }, () => container.exec(['sh', '-c', 'exit 5'])));
      for (const exec of execs) expect((await exec.finished()).exitCode).toBe(5);
    }
    // The last monitor is reaped a moment after its connection ends.
    while (JSON.stringify(facts()) !== JSON.stringify(before)) await sleep(10);
  });
});

describeRoot('a terminal', () => {
  const terminal = { terminal: true, windowSize: { rows: 40, columns: 120 }, keep: { stdin: true } } as const;

  it('has the size that was asked for, and is /dev/console and the controlling terminal', async () => {
    const { stdout } = await shell(
      'stty size; tty; test -c /dev/console && echo console; echo there > /dev/tty; ps -o pid,tty',
      terminal,
    );
    expect(stdout.replaceAll('\r\n', '\n')).toMatch(/^40 120\n\/dev\/pts\/0\nconsole\nthere\nPID +TT\n +1 136,0\n/);
  });

  it('is no terminal that something is wrong with', async () => {
    const { stdout } = await shell('stty -a', terminal);
    expect(stdout).not.toContain('Inappropriate');
    expect(stdout).toMatch(/^speed 38400 baud; rows 40; columns 120;/);
  });

  it('ends what runs in the foreground at Ctrl-C, not the shell', async () => {
    await using container = await TestContainer.start(['sh', '-i'], { ...terminal, env: ['PATH=/bin', 'PS1=> '] });
    await container.until('> ');
    container.connection.stdin.write('sleep 1000; echo "ended with $?"\n');
    await container.until('sleep 1000; echo "ended with $?"\r\n');
    const shellIsWaiting = (): boolean => /\bsleep\b/.test(childrenOf(container.hostPid));
    while (!shellIsWaiting()) await sleep(5);
    container.connection.stdin.write('\u0003');
    await container.until('^C');
    container.connection.stdin.write('echo still "$((1 + 1))"; exit 4\n');
    const { exitCode, stdout } = await container.finished();
    expect(exitCode).toBe(4);
    expect(stdout).toContain('still 2');
  });

  it('sends Ctrl-C once, and only to the command, where there is an init', async () => {
    const script =
      'trap "echo interrupted" INT; cut -d" " -f5,8 /proc/self/stat /proc/1/stat; echo ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.02; done; echo end';
    await using container = await TestContainer.start(['sh', '-c', script], { ...terminal, reap: true });
    await container.until('ready');
    container.connection.stdin.write('\u0003');
    const { stdout } = await container.finished();
    expect(stdout.match(/interrupted/g)).toHaveLength(1);
    // The group of each process, and the one in the foreground.
    expect(stdout).toMatch(/^2 2\r\n1 2\r\n/);
  });

  it('is resized', async () => {
    await using container = await TestContainer.start(
      ['sh', '-c', 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.01; done'],
      terminal,
    );
    await container.until('ready');
    container.connection.resize({ rows: 10, columns: 20 });
    expect((await container.finished()).stdout).toContain('10 20');
  });

  it('belongs to the user, who can open it again', async () => {
    const { stdout } = await shell('stat -c "%u %g" /dev/pts/0; echo again > /dev/stdout; echo once > "$(tty)"', {
      ...terminal,
      user: { uid: 1000, gid: 1000 },
    });
    expect(stdout.replaceAll('\r\n', '\n')).toBe('1000 1000\nagain\nonce\n');
  });

  it('can be had by an exec, too', async () => {
    await using container = await TestContainer.idle();
    const exec = await container.exec(['sh', '-c', 'stty size; tty; echo there > /dev/tty'], { terminal: true });
    expect((await exec.finished()).stdout).toBe('30 90\r\n/dev/pts/0\r\nthere\r\n');
  });
});

const childrenOf = (pid: number): string =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '')
    .map((child) => readFileSync(`/proc/${child}/comm`, 'utf8'))
    .join('');

describeRoot('an exec', () => {
  it('is in the same namespaces, has its own directory, user and environment', async () => {
    await using container = await TestContainer.idle({ hostname: 'one' });
    const exec = await container.exec(['sh', '-c', 'hostname; cat /proc/1/comm; pwd; id -u; echo $A'], {
      cwd: '/tmp',
      user: { uid: 1000, gid: 1000 },
      env: ['PATH=/bin', 'A=b'],
    });
    expect(await exec.finished()).toEqual({ exitCode: 0, stdout: 'one\nsleep\n/tmp\n1000\nb\n', stderr: '' });
    const links = await container.exec([
      'sh',
      '-c',
      'for pid in self 1; do for type in cgroup ipc mnt net pid uts; do readlink /proc/$pid/ns/$type; done; done',
    ]);
    const lines = (await links.finished()).stdout.trim().split('\n');
    expect(lines).toHaveLength(12);
    expect(lines.slice(0, 6)).toEqual(lines.slice(6));
  });

  it('gets input, and ends when it does', async () => {
    await using container = await TestContainer.idle();
    const exec = await container.exec(['cat'], {}, { stdin: true });
    exec.connection.stdin.end('some words');
    expect((await exec.finished()).stdout).toBe('some words');
  });

  it('is refused in a directory that is not there, and in a container that has ended', async () => {
    await using container = await TestContainer.idle();
    await expect(container.exec(['true'], { cwd: '/nonexistent' })).rejects.toMatchObject({
      code: 'RUNTIME_START_FAILED',
      message: 'cannot chdir to cwd ("/nonexistent"): ENOENT: no such file or directory',
    });
    container.connection.signal(9);
    await container.connection.exit;
    await expect(container.exec(['true'])).rejects.toMatchObject({ code: 'ESRCH' });
    expect(statSync(container.root.canaryDir).isDirectory()).toBe(true);
  });
});
