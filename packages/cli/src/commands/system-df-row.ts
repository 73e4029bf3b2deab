import type { ContainerSummary, DiskUsage } from '@tsc/engine';
import type { StoredImage } from '@tsc/image';

import { formatListing } from '../format/listing.ts';
import type { Row } from '../format/listing.ts';
import { humanSize } from '../format/size.ts';
import { imageRows } from './image-row.ts';
import { containerRow } from './ps-row.ts';

interface Kind {
  readonly type: string;
  readonly count: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimableBytes: number;
}

/** The four rows of `system df`. Builds keep no cache, so the last one is empty. */
export function summaryRows({ images, imageContainers, containers, volumes }: DiskUsage): readonly Row[] {
  const kinds: readonly Kind[] = [
    {
      type: 'Images',
      count: images.images.length,
      active: images.images.filter(({ id }) => imageContainers.has(id)).length,
      bytes: images.total,
      reclaimableBytes: images.reclaimableBytes,
    },
    kindOf('Containers', containers, ({ active }) => active),
    kindOf('Local Volumes', volumes, ({ linkCount }) => linkCount > 0),
    kindOf('Build Cache', [], () => false),
  ];
  return kinds.map(({ type, count, active, bytes, reclaimableBytes }) => ({
    Active: String(active),
    Reclaimable: humanSize(reclaimableBytes) + share(reclaimableBytes, bytes),
    Size: humanSize(bytes),
    TotalCount: String(count),
    Type: type,
  }));
}

function kindOf<T extends { readonly sizeBytes: number }>(
  type: string,
  all: readonly T[],
  isActive: (one: T) => boolean,
): Kind {
  const sum = (some: readonly T[]): number => some.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  const active = all.filter(isActive);
  return { type, count: all.length, active: active.length, bytes: sum(all), reclaimableBytes: sum(all) - sum(active) };
}

const share = (part: number, whole: number): string =>
  whole === 0 ? '' : ` (${String(Math.floor((part * 100) / whole))}%)`;

/** What `system df -v` shows, under the names that Docker's templates know. */
export interface DetailRows {
  readonly Images: readonly Row[];
  readonly Containers: readonly Row[];
  readonly Volumes: readonly Row[];
  readonly BuildCache: readonly Row[];
}

export interface Listed {
  readonly images: readonly StoredImage[];
  readonly containers: readonly ContainerSummary[];
  readonly now: Date;
  readonly truncate: boolean;
}

export function detailRows(usage: DiskUsage, { images, containers, now, truncate }: Listed): DetailRows {
  const sizes = new Map(usage.images.images.map((image) => [image.id, image]));
  const written = new Map(usage.containers.map((container) => [container.id, container]));
  return {
    Images: images.flatMap((image) => {
      const size = sizes.get(image.id);
      // An image has one line here, whatever names it has.
      const [row] = imageRows(image, { now, truncate, digests: false });
      if (size === undefined || row === undefined) return [];
      return [
        {
          ...row,
          Containers: String(usage.imageContainers.get(image.id) ?? 0),
          SharedSize: humanSize(size.sharedBytes),
          Size: humanSize(size.sizeBytes),
          UniqueSize: humanSize(size.uniqueBytes),
          VirtualSize: humanSize(size.sizeBytes),
        },
      ];
    }),
    Containers: containers.flatMap((container) => {
      const size = written.get(container.id);
      if (size === undefined) return [];
      const row = containerRow(container, { now, truncate });
      return [{ ...row, LocalVolumes: String(size.volumeCount), Size: humanSize(size.sizeBytes) }];
    }),
    Volumes: usage.volumes.map(({ name, mountPoint, sizeBytes, linkCount }) => ({
      Driver: 'local',
      Label: () => '',
      Labels: '',
      Links: String(linkCount),
      Mountpoint: mountPoint,
      Name: name,
      Scope: 'local',
      Size: humanSize(sizeBytes),
    })),
    BuildCache: [],
  };
}

const IMAGES = {
  columns:
    '{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}',
  headings: {
    Repository: 'REPOSITORY',
    Tag: 'TAG',
    ID: 'IMAGE ID',
    CreatedSince: 'CREATED',
    Size: 'SIZE',
    SharedSize: 'SHARED SIZE',
    UniqueSize: 'UNIQUE SIZE',
    Containers: 'CONTAINERS',
  },
};
const CONTAINERS = {
  columns: '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}',
  headings: {
    ID: 'CONTAINER ID',
    Image: 'IMAGE',
    Command: 'COMMAND',
    LocalVolumes: 'LOCAL VOLUMES',
    Size: 'SIZE',
    RunningFor: 'CREATED',
    Status: 'STATUS',
    Names: 'NAMES',
  },
};
const VOLUMES = {
  columns: '{{.Name}}\t{{.Links}}\t{{.Size}}',
  headings: { Name: 'VOLUME NAME', Links: 'LINKS', Size: 'SIZE' },
};
const BUILD_CACHE = {
  columns: '{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}',
  headings: {
    ID: 'CACHE ID',
    CacheType: 'CACHE TYPE',
    Size: 'SIZE',
    CreatedSince: 'CREATED',
    LastUsedSince: 'LAST USED',
    UsageCount: 'USAGE',
    Shared: 'SHARED',
  },
};

/** The four tables of `system df -v`. */
export function formatDetails(details: DetailRows): string {
  const table = (
    shape: typeof VOLUMES | typeof IMAGES | typeof CONTAINERS | typeof BUILD_CACHE,
    rows: readonly Row[],
  ) => formatListing({ ...shape, rows, idField: '' });
  return [
    `Images space usage:\n\n${table(IMAGES, details.Images)}`,
    `Containers space usage:\n\n${table(CONTAINERS, details.Containers)}`,
    `Local Volumes space usage:\n\n${table(VOLUMES, details.Volumes)}`,
    `Build cache usage: ${humanSize(0)}\n\n${table(BUILD_CACHE, details.BuildCache)}`,
  ].join('\n');
}
