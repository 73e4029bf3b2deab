import { describe, expect, it } from '@jest/globals';
import type { ContainerSummary } from '@tsc/engine';

import { parseContainerFilters, selectContainers } from './ps-filter.ts';
import { containerRow, displayPorts, displayStatus } from './ps-row.ts';

const now = new Date('2026-01-02T12:00:00Z');
const web: ContainerSummary = {
  id: 'abcdef0123456789'.repeat(4),
  name: 'web',
  image: 'nginx:1',
  imageId: `sha256:${'12345678'.repeat(8)}`,
  command: ['/docker-entrypoint.sh', 'nginx', '-g', 'daemon off;'],
  created: new Date('2026-01-02T10:00:00Z'),
  status: 'running',
  exitCode: 0,
  startedAt: new Date('2026-01-02T11:55:00Z'),
  finishedAt: undefined,
  ports: [],
  labels: { app: 'shop', 'com.example.tier': 'front' },
  network: 'bridge',
  mounts: ['/var/lib/some/long/path'],
};
const job: ContainerSummary = {
  ...web,
  id: '9'.repeat(64),
  name: 'job',
  image: 'debian',
  created: new Date('2026-01-02T09:00:00Z'),
  status: 'exited',
  exitCode: 3,
  finishedAt: new Date('2026-01-02T11:59:57Z'),
  labels: {},
};

describe('containerRow', () => {
  it('says what Docker says', () => {
    expect(containerRow(web, { now, truncate: true })).toMatchObject({
      ID: 'abcdef012345',
      Command: '"/docker-entrypoint.…"',
      RunningFor: '2 hours ago',
      Status: 'Up 5 minutes',
      State: 'running',
      Labels: 'app=shop,com.example.tier=front',
      Mounts: '/var/lib/some/…',
    });
    expect(containerRow(web, { now, truncate: false })['Command']).toBe(
      `"/docker-entrypoint.sh nginx -g 'daemon off;'"`,
    );
  });
  it('tells how a container ended', () => {
    expect(displayStatus(job, now)).toBe('Exited (3) 3 seconds ago');
    expect(displayStatus({ ...job, status: 'created' }, now)).toBe('Created');
    expect(displayStatus({ ...job, status: 'restarting' }, now)).toBe('Restarting (3) 3 seconds ago');
  });
});

describe('displayPorts', () => {
  const tcp = { protocol: 'tcp' as const };
  it('joins neighbours and puts published ports first', () => {
    expect(
      displayPorts([
        { ...tcp, containerPort: 443 },
        { ...tcp, containerPort: 81, hostPort: 8081 },
        { ...tcp, containerPort: 80, hostPort: 8080 },
        { protocol: 'udp', containerPort: 53, hostPort: 53, hostAddress: '127.0.0.1' },
      ]),
    ).toBe('0.0.0.0:8080-8081->80-81/tcp, 127.0.0.1:53->53/udp, 443/tcp');
    expect(displayPorts([])).toBe('');
  });
});

describe('selectContainers', () => {
  const names = (...filters: readonly string[]) =>
    selectContainers([web, job], parseContainerFilters(filters)).map(({ name }) => name);
  it('knows the filters', () => {
    expect(names()).toEqual(['web', 'job']);
    expect(names('name=we')).toEqual(['web']);
    expect(names('name=^/web$')).toEqual(['web']);
    expect(names('id=999')).toEqual(['job']);
    expect(names('label=app=shop', 'label=com.example.tier')).toEqual(['web']);
    expect(names('label=app=other')).toEqual([]);
    expect(names('status=exited', 'status=created')).toEqual(['job']);
    expect(names('exited=3')).toEqual(['job']);
    expect(names('ancestor=debian:latest')).toEqual(['job']);
    expect(names('ancestor=nginx:1')).toEqual(['web']);
    expect(names('before=web')).toEqual(['job']);
    expect(names('since=job')).toEqual(['web']);
    expect(names('network=none')).toEqual([]);
  });
  it.each(['nonsense', 'nonsense=1', 'status=asleep', 'exited=x', 'name=('])('refuses %s', (filter) => {
    expect(() => names(filter)).toThrow(expect.objectContaining({ code: 'CLI_BAD_VALUE' }));
  });
});
