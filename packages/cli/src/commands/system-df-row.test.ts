import { expect, it } from '@jest/globals';
import type { DiskUsage } from '@tsc/engine';
import { digestOf } from '@tsc/image';

import { detailRows, formatDetails, summaryRows } from './system-df-row.ts';

const [used, unused] = [digestOf('used'), digestOf('unused')];
const usage: DiskUsage = {
  images: {
    images: [
      { id: used, sizeBytes: 3_000_000, sharedBytes: 1_000_000, uniqueBytes: 2_000_000 },
      { id: unused, sizeBytes: 2_000_000, sharedBytes: 1_000_000, uniqueBytes: 1_000_000 },
    ],
    layers: { count: 3, bytes: 4_000_000 },
    blobs: { count: 0, bytes: 0 },
    downloads: { count: 0, bytes: 0 },
    reclaimableBytes: 1_000_000,
    total: 4_000_000,
  },
  imageContainers: new Map([[used, 2]]),
  containers: [
    { id: 'a', sizeBytes: 10_000, volumeCount: 1, active: true },
    { id: 'b', sizeBytes: 30_000, volumeCount: 0, active: false },
  ],
  volumes: [{ name: 'data', mountPoint: '/v/data/_data', sizeBytes: 4096, linkCount: 0 }],
};

it('sums up what there is, what is used and what could go', () => {
  expect(summaryRows(usage).map((row) => Object.values(row))).toEqual([
    ['1', '1MB (25%)', '4MB', '2', 'Images'],
    ['1', '30kB (75%)', '40kB', '2', 'Containers'],
    ['0', '4.1kB (100%)', '4.1kB', '1', 'Local Volumes'],
    ['0', '0B', '0B', '0', 'Build Cache'],
  ]);
});

it('shows four tables in detail', () => {
  const now = new Date();
  const text = formatDetails(detailRows(usage, { images: [], containers: [], now, truncate: true }));
  expect(text).toBe(
    [
      'Images space usage:\n',
      'REPOSITORY   TAG       IMAGE ID   CREATED   SIZE      SHARED SIZE   UNIQUE SIZE   CONTAINERS\n',
      'Containers space usage:\n',
      'CONTAINER ID   IMAGE     COMMAND   LOCAL VOLUMES   SIZE      CREATED   STATUS    NAMES\n',
      'Local Volumes space usage:\n',
      'VOLUME NAME   LINKS     SIZE\ndata          0         4.1kB\n',
      'Build cache usage: 0B\n',
      'CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n',
    ].join('\n'),
  );
});
