import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { mkdirSync, readdirSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { openEngine } from '../src/index.ts';
import type { ContainerSpec } from '../src/index.ts';
import { importBusybox } from './busybox-image.ts';
import { failureOf, leftovers, sh, testEngine, warmUp } from './test-engine.ts';

const MIB = 1024 ** 2;
const plain: ContainerSpec = { image: 'busybox', command: ['true'], network: 'none' };

describeRoot('bad input gets one line and leaves nothing', () => {
  beforeAll(warmUp);

  it.each<[string, Partial<ContainerSpec>, string | RegExp]>([
    ['an unknown image', { image: 'none' }, /^IMAGE_NOT_FOUND: .*none/],
    [
      'a bad name',
      { name: '../x' },
      'ENGINE_INVALID_SPEC: invalid container name (../x): only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, at least two characters',
    ],
    ['a name of one letter', { name: 'a' }, /^ENGINE_INVALID_SPEC: invalid container name \(a\)/],
    ['a name of two lines', { name: 'ab\ncd' }, /^ENGINE_INVALID_SPEC: invalid container name/],
    ['a name of 300 letters', { name: 'a'.repeat(300) }, /^ENGINE_INVALID_SPEC: invalid container name/],
    [
      'a missing command',
      { command: ['/bin/none'] },
      'ENGINE_COMMAND_NOT_FOUND: failed to start container: exec: "/bin/none": no such file or directory',
    ],
    [
      'a command not in PATH',
      { command: ['none'] },
      'ENGINE_COMMAND_NOT_FOUND: failed to start container: exec: "none": executable file not found in $PATH',
    ],
    [
      'a directory as entrypoint',
      { entrypoint: ['/etc'] },
      'ENGINE_COMMAND_NOT_EXECUTABLE: failed to start container: exec: "/etc": is a directory',
    ],
    [
      'a file that is no program',
      { command: ['/bin/not-executable'] },
      'ENGINE_COMMAND_NOT_EXECUTABLE: failed to start container: exec: "/bin/not-executable": permission denied',
    ],
    ['no command', { command: [] }, 'ENGINE_INVALID_SPEC: no command specified'],
    [
      'too little memory',
      { resources: { memoryMaxBytes: MIB } },
      'ENGINE_INVALID_SPEC: minimum memory limit allowed is 6MB',
    ],
    [
      'memory that is no number',
      { resources: { memoryMaxBytes: NaN } },
      'ENGINE_INVALID_SPEC: invalid value for memoryMaxBytes: NaN',
    ],
    [
      'less swap than memory',
      { resources: { memoryMaxBytes: 64 * MIB, memorySwapMaxBytes: 32 * MIB } },
      'ENGINE_INVALID_SPEC: minimum memoryswap limit should be larger than already set memory limit',
    ],
    [
      'more CPUs than there are',
      { resources: { cpus: 10_000 } },
      /^ENGINE_INVALID_SPEC: range of CPUs is from 0.01 to /,
    ],
    [
      'a mount over /proc',
      { mounts: [{ type: 'tmpfs', target: '/proc/' }] },
      'ENGINE_INVALID_SPEC: refusing to mount over /proc',
    ],
    [
      'a mount on /',
      { mounts: [{ type: 'tmpfs', target: '/' }] },
      "ENGINE_INVALID_SPEC: invalid specification: destination can't be '/'",
    ],
    [
      'a relative mount',
      { mounts: [{ type: 'tmpfs', target: 'x' }] },
      "ENGINE_INVALID_SPEC: invalid mount path: 'x' mount path must be absolute",
    ],
    [
      'two mounts on one place',
      {
        mounts: [
          { type: 'tmpfs', target: '/a' },
          { type: 'volume', target: '/a/' },
        ],
      },
      'ENGINE_INVALID_SPEC: duplicate mount point: /a',
    ],
    [
      'a bad volume',
      {
        mounts: [
          { type: 'volume', target: '/ok' },
          { type: 'volume', source: '../x', target: '/a' },
        ],
      },
      /^ENGINE_INVALID_SPEC: "..\/x" includes invalid characters for a local volume name/,
    ],
    [
      'an unknown user',
      { user: 'bob' },
      'ENGINE_START_FAILED: failed to start container: unable to find user bob: no matching entries in passwd file',
    ],
    ['an unknown signal', { stopSignal: 'SIGNONE' }, 'ENGINE_INVALID_SPEC: invalid signal: SIGNONE'],
    ['a bad host name', { hostname: '-a' }, 'ENGINE_INVALID_SPEC: invalid hostname: -a'],
    ['a bad port', { ports: [{ protocol: 'tcp', containerPort: 70_000 }] }, /^ENGINE_INVALID_SPEC: invalid port: /],
    [
      'a strange address',
      { network: 'bridge', ports: [{ protocol: 'tcp', containerPort: 80, hostAddress: '192.0.2.1' }] },
      'ENGINE_INVALID_SPEC: cannot publish on 192.0.2.1: it is no address of this host',
    ],
    [
      'both --rm and --restart',
      { autoRemove: true, restart: { name: 'always' } },
      'ENGINE_INVALID_SPEC: conflicting options: cannot specify both --restart and --rm',
    ],
    ['an unknown limit', { ulimits: [{ name: 'none', soft: 1, hard: 1 }] }, /^ENGINE_\w+: .*RLIMIT_NONE/],
    ['a working directory that is a file', { workingDir: '/etc/passwd' }, /^ENGINE_START_FAILED: .*\/etc\/passwd/],
    ['a relative working directory', { workingDir: 'x' }, /^ENGINE_INVALID_SPEC: the working directory 'x' is invalid/],
    ['a seccomp profile that is none', { seccompProfile: '{' }, /^ENGINE_\w+: /],
  ])('%s', async (_, wrong, message) => {
    await using t = await testEngine();
    const failed = await failureOf(t.engine.run({ ...plain, ...wrong }));
    if (typeof message === 'string') expect(failed).toBe(message);
    else expect(failed).toMatch(message);
    expect(failed).not.toContain('\n');
    expect(t.engine.listContainers({ all: true })).toEqual([]);
    expect(readdirSync(join(t.layout.rootDir, 'volumes'))).toEqual([]);
    await t.engine.close();
    expect(leftovers(t.layout)).toEqual([]);
  });

  it('an image whose stop signal is none', async () => {
    await using t = await testEngine({ changes: ['STOPSIGNAL NONE'] });
    expect(await failureOf(t.engine.createContainer(plain))).toBe('ENGINE_INVALID_SPEC: invalid signal: NONE');
  });

  it('a port that another container or another program has', async () => {
    await using t = await testEngine();
    await using server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const published = (hostAddress: string, hostPort: number): ContainerSpec => ({
      ...plain,
      command: ['sleep', '1000'],
      network: 'bridge',
      ports: [{ protocol: 'tcp', containerPort: 80, hostPort, hostAddress }],
    });
    const taken = (address: string, hostPort: number): string =>
      `ENGINE_PORT_IN_USE: bind for ${address}:${String(hostPort)} failed: port is already allocated`;
    expect(await failureOf(t.engine.run(published('127.0.0.1', port)))).toBe(taken('127.0.0.1', port));
    expect(await failureOf(t.engine.run(published('0.0.0.0', port)))).toBe(taken('0.0.0.0', port));
    await t.engine.run(published('0.0.0.0', 18_275));
    const begun = performance.now();
    expect(await failureOf((await t.another()).run(published('127.0.0.1', 18_275)))).toBe(taken('127.0.0.1', 18_275));
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(t.engine.listContainers({ all: true })).toHaveLength(1);
  });

  it('a created container that can’t start says why, and can be removed', async () => {
    await using t = await testEngine();
    const container = await t.engine.createContainer({ ...plain, command: ['none'], network: 'bridge' });
    await failureOf(container.start());
    expect(container.inspect().State).toMatchObject({
      Status: 'created',
      ExitCode: 127,
      Error: 'failed to start container: exec: "none": executable file not found in $PATH',
    });
    expect(readdirSync(join(t.layout.runDir, 'network/leases'))).toEqual([]);
  });
});

describeRoot('a full disk', () => {
  beforeAll(warmUp);

  it('stops whatever comes to its end, in one line, and leaves nothing', async () => {
    await using t = await testEngine();
    const disk = t.at('disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'disk', disk]);
    try {
      const layout = { rootDir: join(disk, 'root'), runDir: t.at('run-full') };
      await using engine = await openEngine(layout);
      await importBusybox(engine.images);
      expect((await sh(engine, 'echo works')).stdout).toBe('works\n');
      const ballast = join(disk, 'ballast');
      const free = (): number => statfsSync(disk).bavail * statfsSync(disk).bsize;
      writeFileSync(ballast, Buffer.alloc(free()));
      let outcome = '';
      for (let bytes = 0; bytes < 40 && outcome !== 'it succeeded'; bytes += 1) {
        truncateSync(ballast, Math.max(0, statfsSync(disk).blocks * 4096 - 40 * 4096 - bytes * 4096));
        outcome = await failureOf(
          engine
            .run({ ...plain, autoRemove: true, mounts: [{ type: 'volume', target: '/data' }] })
            .then((run) => run.wait()),
        );
        expect(outcome).toMatch(/^it succeeded$|^ENGINE_START_FAILED: .*(ENOSPC|no space left)/);
        expect(outcome).not.toContain('\n');
        expect(engine.listContainers({ all: true })).toEqual([]);
        expect(readdirSync(join(layout.rootDir, 'volumes'))).toEqual([]);
      }
      await engine.close();
      expect(leftovers(layout)).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});
