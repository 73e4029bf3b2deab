import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from '@jest/globals';

import type { Surroundings } from '../command.ts';
import { defineContainerCommand } from './container.ts';
import type { ContainerRequest } from './container.ts';
import { stillUnpublished } from './publish-all.ts';

const surroundings: Surroundings = { calledAs: 'tsc run', rootDir: undefined, runDir: undefined };

/** What a command line asks for; as root or not, nothing is opened. */
async function request(...words: readonly string[]): Promise<ContainerRequest> {
  let seen: ContainerRequest | undefined;
  const euid = process.geteuid;
  process.geteuid = () => 0;
  try {
    const command = defineContainerCommand({
      summary: '',
      aliases: [],
      flags: {},
      run: (asked) => {
        seen = asked;
        return Promise.resolve(0);
      },
    });
    await command.execute(words, surroundings);
  } finally {
    if (euid !== undefined) process.geteuid = euid;
  }
  if (seen === undefined) throw new Error('the command did not run');
  return seen;
}

describe('a container request', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsc-cli-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('has only what was asked for', async () => {
    expect((await request('debian')).spec).toEqual({ image: 'debian' });
    expect((await request('debian', 'sh', '-c', 'echo')).spec).toEqual({
      image: 'debian',
      command: ['sh', '-c', 'echo'],
    });
  });

  it('says how to come by the image', async () => {
    expect((await request('debian')).image).toEqual({
      image: 'debian',
      pull: 'missing',
      platform: undefined,
      quiet: false,
    });
    expect((await request('--pull', 'never', '-q', '--platform=linux/arm64', 'debian')).image).toEqual({
      image: 'debian',
      pull: 'never',
      platform: 'linux/arm64',
      quiet: true,
    });
  });

  it('puts every flag into units', async () => {
    const envFile = join(directory, 'env');
    writeFileSync(envFile, 'A=file\nB=file\n');
    const { spec, publishAll, cidFile, attach } = await request(
      ...['-it', '--rm', '--name', 'web', '-p', '8080:80', '-P', '-v', '/data:/data:ro', '--tmpfs', '/run:size=1m'],
      ...['-e', 'A=flag', '--env-file', envFile, '-w', '/srv', '-u', '1000:1000', '-h', 'box', '-m', '64m'],
      ...['--memory-swap', '-1', '--cpus', '.5', '--pids-limit', '10', '--net=none', '--entrypoint', ''],
      ...['-l', 'a=b', '--cap-drop', 'ALL', '--cap-add=CHOWN', '--security-opt', 'no-new-privileges', '--read-only'],
      ...['--ulimit', 'nofile=10:20', '--shm-size', '1m', '--stop-timeout', '3', '--sysctl', 'net.x=1'],
      ...['--dns', '1.1.1.1', '--add-host', 'a:1.2.3.4', '--init', '--log-opt', 'max-size=1m', '-a', 'STDOUT'],
      ...['--cidfile', 'cid', 'debian', '--rm'],
    );
    expect({ publishAll, cidFile, attach }).toEqual({ publishAll: true, cidFile: 'cid', attach: ['stdout'] });
    expect(spec).toEqual({
      image: 'debian',
      command: ['--rm'],
      tty: true,
      openStdin: true,
      autoRemove: true,
      name: 'web',
      ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }],
      mounts: [
        { type: 'bind', source: '/data', target: '/data', readOnly: true, createSource: true },
        { type: 'tmpfs', target: '/run', sizeBytes: 1024 ** 2 },
      ],
      env: ['A=file', 'B=file', 'A=flag'],
      workingDir: '/srv',
      user: '1000:1000',
      hostname: 'box',
      resources: { memoryMaxBytes: 64 * 1024 ** 2, memorySwapMaxBytes: -1, cpus: 0.5, pidsMax: 10 },
      network: 'none',
      entrypoint: [],
      labels: { a: 'b' },
      capDrop: ['ALL'],
      capAdd: ['CHOWN'],
      noNewPrivileges: true,
      readOnlyRootfs: true,
      ulimits: [{ name: 'nofile', soft: 10, hard: 20 }],
      shmSizeBytes: 1024 ** 2,
      stopTimeoutMs: 3000,
      sysctls: { 'net.x': '1' },
      dns: ['1.1.1.1'],
      extraHosts: ['a:1.2.3.4'],
      init: true,
      log: { driver: 'json-file', maxSizeBytes: 1024 ** 2 },
    });
  });

  it.each([
    [['--rm', '--restart=always', 'x'], 'conflicting options: cannot specify both --restart and --rm'],
    [['--cpus=1', '--cpu-quota=5', 'x'], 'conflicting options: Nano CPUs and CPU Quota cannot both be set'],
    [['--pull=sometimes', 'x'], 'must be one of "always", "missing" or "never"'],
    [['--gpus=all', 'x'], 'flag --gpus is not supported yet'],
    [['-v', '/a:/x', '--tmpfs', '/x/', 'x'], 'duplicate mount point: /x/'],
    [['-w', 'relative', 'x'], "the working directory 'relative' is invalid"],
    [['--env-file', '/nonexistent', 'x'], 'open /nonexistent: no such file or directory'],
    [['--attach', 'x', 'x'], 'valid streams are STDIN, STDOUT and STDERR'],
    [['--memory-swappiness', '101', 'x'], '"101" is not between -1 and 100'],
    [[], "'tsc run' requires at least 1 argument"],
  ])('refuses %j', async (words, message) => {
    await expect(request(...words)).rejects.toThrow(message);
  });
});

describe('stillUnpublished', () => {
  it('leaves out what has a port already', () => {
    const published = [{ protocol: 'tcp' as const, containerPort: 80, hostPort: 8080 }];
    const exposed = [
      { protocol: 'tcp' as const, port: 80 },
      { protocol: 'udp' as const, port: 80 },
    ];
    expect(stillUnpublished(published, exposed)).toEqual([{ protocol: 'udp', containerPort: 80 }]);
  });
});
