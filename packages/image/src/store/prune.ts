import type { Digest } from '../digest.ts';
import type { CallOptions, RemoveReport } from './store.ts';

/** Ids of images that must stay: those of containers. Asked under the store's lock. */
export type ImagesInUse = () => Iterable<string> | Promise<Iterable<string>>;

export interface PruneOptions extends CallOptions {
  /** Every image that is not in use; default: only those without a name. */
  readonly all?: boolean | undefined;
  /** Only images made before. */
  readonly until?: Date | undefined;
  /** Only images with all of these labels: `key` or `key=value`; with `!` before it, only images without. */
  readonly labels?: readonly string[] | undefined;
  readonly inUse?: ImagesInUse | undefined;
}

export interface PruneReport extends RemoveReport {
  /** Ids of images and chain ids of layers. */
  readonly deleted: readonly Digest[];
  /** Disk bytes that are free now. */
  readonly reclaimedBytes: number;
}
