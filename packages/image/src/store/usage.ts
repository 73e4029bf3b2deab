import type { Digest } from '../digest.ts';

/** Disk bytes: what `du` counts, with whole blocks and directories, and hard links once. */
export interface ImageUsage {
  readonly id: Digest;
  /** Of its unpacked layers and its blobs. */
  readonly sizeBytes: number;
  /** The part of it that other images have too. */
  readonly sharedBytes: number;
  /** The part that goes when the image goes. */
  readonly uniqueBytes: number;
}

export interface KindUsage {
  readonly count: number;
  readonly bytes: number;
}

/** Where the disk went. */
export interface StoreUsage {
  readonly images: readonly ImageUsage[];
  /** Unpacked layers. */
  readonly layers: KindUsage;
  /** Manifests, configs and packed layers, with the compressed ones that are kept for the next push. */
  readonly blobs: KindUsage;
  /** Layers that were not fetched to their end, and go on from there. */
  readonly downloads: KindUsage;
  /** Images that nothing uses, by `inUse` (none, when it isn't given). */
  readonly reclaimableBytes: number;
  /** Disk bytes of all that the store has below its root, as `du -s --block-size=1` counts them. */
  readonly total: number;
}
