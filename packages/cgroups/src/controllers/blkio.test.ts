import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import type { BlkioThrottle } from '../limits.ts';
import { planBlkio, readBlkioStats } from './blkio.ts';

const v1 = { version: 1, directory: '/v1' } as const;
const v2 = { version: 2, directory: '/v2' } as const;

describe('planBlkio', () => {
  it('falls back to the weight of the scheduler that the kernel has', () => {
    expect(planBlkio({ blkioWeight: 500 }, v1)).toMatchObject([
      { path: '/v1/blkio.weight', data: '500', fallback: { path: '/v1/blkio.bfq.weight', data: '500' } },
    ]);
    expect(planBlkio({ blkioWeight: 500 }, v2)).toMatchObject([
      { path: '/v2/io.bfq.weight', data: '500', fallback: { path: '/v2/io.weight', data: '4950' } },
    ]);
    expect(planBlkio({ blkioWeight: 10 }, v2)[0]?.fallback?.data).toBe('1');
    expect(planBlkio({ blkioWeight: 1000 }, v2)[0]?.fallback?.data).toBe('10000');
  });

  const blkioThrottle: BlkioThrottle[] = [
    { major: 8, minor: 0, readBytesPerSecond: 1000, writeOperationsPerSecond: 'max' },
    { major: 8, minor: 16, writeBytesPerSecond: 5, readOperationsPerSecond: 6 },
  ];

  it('has a file per direction and unit on v1', () => {
    expect(planBlkio({ blkioThrottle }, v1).map(({ path, data }) => `${path} ${data}`)).toEqual([
      '/v1/blkio.throttle.read_bps_device 8:0 1000',
      '/v1/blkio.throttle.write_iops_device 8:0 0',
      '/v1/blkio.throttle.write_bps_device 8:16 5',
      '/v1/blkio.throttle.read_iops_device 8:16 6',
    ]);
  });

  it('has one file on v2', () => {
    expect(planBlkio({ blkioThrottle }, v2).map(({ path, data }) => `${path} ${data}`)).toEqual([
      '/v2/io.max 8:0 rbps=1000',
      '/v2/io.max 8:0 wiops=max',
      '/v2/io.max 8:16 wbps=5',
      '/v2/io.max 8:16 riops=6',
    ]);
  });

  it.each([
    { blkioWeight: 9 },
    { blkioThrottle: [{ major: -1, minor: 0 }] },
    { blkioThrottle: [{ major: 8, minor: 0, readBytesPerSecond: 0 }] },
  ])('refuses %j', (limits) => {
    expect(() => planBlkio(limits, v1)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_INVALID' }));
  });
});

describe('readBlkioStats', () => {
  const device = { major: 8, minor: 0, readBytes: 1n, writeBytes: 2n, readOperations: 3n, writeOperations: 4n };
  const withFiles = (contents: Readonly<Record<string, string>>, test: (directory: string) => void): void => {
    const directory = mkdtempSync(join(tmpdir(), 'cgroup-blkio-'));
    try {
      for (const [name, text] of Object.entries(contents)) writeFileSync(join(directory, name), text);
      test(directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  it('joins the two files of v1 and leaves out the sums', () => {
    const files = {
      'blkio.throttle.io_service_bytes_recursive': '8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Total 3\nTotal 3\n',
      'blkio.throttle.io_serviced_recursive': '8:0 Read 3\n8:0 Write 4\nTotal 7\n',
    };
    withFiles(files, (directory) => {
      expect(readBlkioStats({ version: 1, directory })).toEqual([device]);
    });
  });

  it('reads the one file of v2', () => {
    withFiles({ 'io.stat': '8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n' }, (directory) => {
      expect(readBlkioStats({ version: 2, directory })).toEqual([device]);
    });
  });

  it('says when the controller is not there', () => {
    withFiles({}, (directory) => {
      expect(readBlkioStats({ version: 1, directory })).toBeUndefined();
      expect(readBlkioStats({ version: 2, directory })).toBeUndefined();
    });
  });
});
