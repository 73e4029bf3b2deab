import { describe, expect, it } from '@jest/globals';
import type { StoredImage } from '@tsc/image';

import type { ContainerSpec } from './container-spec.ts';
import { checkSpec, collectMounts, makeRecord } from './creation.ts';

type Defaults = NonNullable<StoredImage['config']['config']>;

const imageWith = (config: Defaults): StoredImage =>
  ({
    id: `sha256:${'a'.repeat(64)}`,
    names: ['it'],
    layerDirs: ['/layers/b', '/layers/a'],
    config: { config },
  }) as unknown as StoredImage;

const processOf = (spec: Partial<ContainerSpec>, config: Defaults = {}): ReturnType<typeof makeRecord>['process'] =>
  makeRecord({
    id: 'f'.repeat(64),
    name: 'it',
    spec: { image: 'it', ...spec },
    image: imageWith(config),
    mounts: [],
    created: new Date(0),
  }).process;

describe('what a container runs', () => {
  it.each<[string, Partial<ContainerSpec>, Defaults, readonly string[]]>([
    ['the image’s command', {}, { Cmd: ['a', 'b'] }, ['a', 'b']],
    ['its entrypoint with its command', {}, { Entrypoint: ['e'], Cmd: ['a'] }, ['e', 'a']],
    ['its entrypoint with another command', { command: ['c'] }, { Entrypoint: ['e'], Cmd: ['a'] }, ['e', 'c']],
    ['another entrypoint without its command', { entrypoint: ['x'] }, { Entrypoint: ['e'], Cmd: ['a'] }, ['x']],
    ['no entrypoint', { entrypoint: [], command: ['c'] }, { Entrypoint: ['e'], Cmd: ['a'] }, ['c']],
  ])('is %s', (_, spec, config, args) => {
    expect(processOf(spec, config).args).toEqual(args);
  });

  it('is refused where there is none', () => {
    expect(() => processOf({})).toThrow('no command specified');
    expect(() => processOf({ entrypoint: [] }, { Cmd: ['a'] })).toThrow('no command specified');
    expect(() => processOf({ command: [''] })).toThrow('no command specified');
  });

  it('has the image’s environment, changed variable by variable', () => {
    const config = { Cmd: ['a'], Env: ['A=1', 'B=2', 'PATH=/own'] };
    expect(processOf({ env: ['B=3', 'A', 'C==', 'NONE'] }, config).env).toEqual(['B=3', 'PATH=/own', 'C==']);
    expect(processOf({}, { Cmd: ['a'] }).env).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ]);
    expect(() => processOf({ env: ['=x'] }, config)).toThrow('invalid environment variable: =x');
  });

  it('runs in an absolute directory', () => {
    expect(processOf({}, { Cmd: ['a'], WorkingDir: '' }).workingDir).toBe('/');
    expect(() => processOf({}, { Cmd: ['a'], WorkingDir: 'x' })).toThrow("the working directory 'x' is invalid");
  });

  it('is stopped by the signal of the caller, the image, or SIGTERM', () => {
    expect(processOf({ stopSignal: 'INT' }, { Cmd: ['a'], StopSignal: 'QUIT' }).stopSignal).toBe('INT');
    expect(processOf({}, { Cmd: ['a'], StopSignal: 'QUIT' }).stopSignal).toBe('QUIT');
    expect(processOf({}, { Cmd: ['a'] }).stopSignal).toBe('SIGTERM');
    expect(() => processOf({}, { Cmd: ['a'], StopSignal: 'x' })).toThrow('invalid signal: x');
  });
});

describe('the mounts of a container', () => {
  const targets = (spec: Partial<ContainerSpec>, volumes: readonly string[] = []): readonly string[] =>
    collectMounts(
      { image: 'it', ...spec },
      imageWith({ Volumes: Object.fromEntries(volumes.map((path) => [path, {}])) }),
    ).map(({ target }) => target);

  it('are in the order in which they lie above each other, each place once', () => {
    const mounts = ['/a/b/c', '/a', '/x//y/'].map((target) => ({ type: 'tmpfs', target }) as const);
    expect(targets({ mounts })).toEqual(['/a', '/x/y', '/a/b/c']);
    expect(() => targets({ mounts: [...mounts, { type: 'volume', target: '/a/' }] })).toThrow(
      'duplicate mount point: /a',
    );
  });

  it('are also the volumes of the image, where the caller mounts nothing', () => {
    expect(targets({ mounts: [{ type: 'tmpfs', target: '/v/' }] }, ['/v', '/w'])).toEqual(['/v', '/w']);
  });

  it.each(['/proc', '/sys/', '/', '/a/../..', 'relative', ''])('are not at %j', (target) => {
    expect(() => targets({}, [target])).toThrow(/mount|destination/);
  });
});

describe('a request', () => {
  it.each<[Partial<ContainerSpec>, string]>([
    [{ resources: { cpus: 0 } }, 'range of CPUs is from 0.01 to 4.00'],
    [{ resources: { cpus: 5 } }, 'as there are only 4 CPUs available'],
    [{ resources: { pidsMax: -2 } }, 'invalid pids limit: -2'],
    [{ resources: { memoryMaxBytes: Infinity } }, 'invalid value for memoryMaxBytes: Infinity'],
    [{ network: 'host', ports: [{ protocol: 'tcp', containerPort: 80 }] }, 'conflicting options: port publishing'],
    [{ ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 0 }] }, 'invalid port: 0:80'],
    [{ hostname: 'a'.repeat(64) }, 'invalid hostname: aaa'],
    [{ capDrop: ['FLY'] }, 'FLY'],
  ])('%j is refused', (spec, message) => {
    expect(() => {
      checkSpec({ image: 'it', ...spec }, 4);
    }).toThrow(message);
  });

  it('may be as large as the machine', () => {
    checkSpec({ image: 'it', resources: { cpus: 4, pidsMax: -1, memorySwapMaxBytes: -1, memoryMaxBytes: 2 ** 40 } }, 4);
  });
});
