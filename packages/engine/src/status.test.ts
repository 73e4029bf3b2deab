import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from '@jest/globals';

import { initialState } from './container-record.ts';
import type { ContainerRecord, ContainerState } from './container-record.ts';
import { exitCodeSeen, inspectContainer, summarise } from './inspection.ts';
import { containerPaths } from './layout.ts';
import type { ContainerPaths } from './layout.ts';
import { lock } from './lock.ts';
import { exitCodeOf, observe } from './status.ts';

let paths: ContainerPaths;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'status-'));
  paths = containerPaths({ rootDir: join(dir, 'root'), runDir: join(dir, 'run') }, 'a'.repeat(64));
  mkdirSync(paths.runDir, { recursive: true });
});
afterEach(() => {
  rmSync(join(paths.runDir, '../../..'), { recursive: true });
});

const recordWith = (state: Partial<ContainerState>): ContainerRecord => ({
  version: 1,
  id: 'a'.repeat(64),
  name: 'it',
  created: new Date(0).toISOString(),
  imageId: 'sha256:it',
  layerDirs: [],
  spec: { image: 'it', ports: [{ protocol: 'tcp', containerPort: 80 }] },
  process: {
    args: ['a', 'b'],
    env: [],
    workingDir: '/',
    user: '',
    stopSignal: 'SIGTERM',
    entrypoint: [],
    command: ['a', 'b'],
  },
  mounts: [{ type: 'tmpfs', target: '/t', options: ['ro'] }],
  labels: {},
  exposedPorts: ['81/udp'],
  state: { ...initialState, ...state },
});
const started = recordWith({ phase: 'started', startedAt: 'before' });
const say = (file: 'started' | 'exit', content: object): void => {
  writeFileSync(paths[file], JSON.stringify(content));
};

it('is told by the record where no monitor is needed to know it', () => {
  expect(observe(paths, recordWith({})).status).toBe('created');
  expect(observe(paths, recordWith({ phase: 'ended' })).status).toBe('exited');
  expect(observe(paths, recordWith({ phase: 'ended', restarting: true })).status).toBe('restarting');
});

it('is told by the monitor’s lock and files while a run is not accounted for', async () => {
  const held = await lock(paths.runLock);
  expect(observe(paths, started)).toMatchObject({ status: 'created', starting: true, needsCleanup: false });
  say('started', { pid: 7, startedAt: 'then' });
  expect(observe(paths, started)).toMatchObject({ status: 'running', hostPid: 7, startedAt: 'then', starting: false });
  say('exit', { exitCode: 3, finishedAt: 'later' });
  expect(observe(paths, started)).toMatchObject({ status: 'exited', hostPid: 0, needsCleanup: false });
  held[Symbol.dispose]();
  expect(observe(paths, started)).toMatchObject({ status: 'exited', exit: { exitCode: 3 }, needsCleanup: true });
});

it('is the end where the monitor is gone without a word', () => {
  say('started', { pid: 7, startedAt: 'then' });
  const seen = observe(paths, started);
  expect(seen).toMatchObject({ status: 'exited', needsCleanup: true });
  expect(exitCodeSeen(started, seen)).toBe(255);
});

it('gives an exit code as Docker does', () => {
  expect(exitCodeOf(undefined)).toBe(255);
  expect(exitCodeOf({ exitCode: 0, finishedAt: '' })).toBe(0);
  expect(exitCodeOf({ signal: 9, finishedAt: '' })).toBe(137);
});

it('is shown in Docker’s shape, with what was asked and what is so', () => {
  const network = {
    bridge: 'tsc0',
    address: '172.17.0.2',
    prefixLength: 16,
    gateway: '172.17.0.1',
    mac: '02:42:ac:11:00:02',
    hostInterface: 'veth0',
    ports: [{ protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 32_768, containerPort: 80 }],
  } as const;
  const seen = {
    status: 'running',
    hostPid: 7,
    startedAt: '2026-01-01T00:00:00Z',
    exit: undefined,
    starting: false,
    needsCleanup: false,
  } as const;
  const record = { ...started, state: { ...started.state, network } };
  expect(inspectContainer(record, paths, seen)).toMatchObject({
    Path: 'a',
    Args: ['b'],
    Name: '/it',
    State: { Status: 'running', Running: true, Pid: 7, ExitCode: 0, FinishedAt: '0001-01-01T00:00:00Z' },
    HostConfig: {
      PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] },
      Tmpfs: { '/t': 'ro' },
      NetworkMode: 'bridge',
    },
    NetworkSettings: {
      IPAddress: '172.17.0.2',
      Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '32768' }], '81/udp': null },
      Networks: { bridge: { IPAddress: '172.17.0.2' } },
    },
  });
  expect(summarise(record, seen).ports).toEqual([...network.ports, { protocol: 'udp', containerPort: 81 }]);
  expect(summarise(record, { ...seen, status: 'exited' }).ports).toEqual([]);
});
