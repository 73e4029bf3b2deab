import { chainIds, type Digest } from '../digest.ts';
import type { ImageConfig } from '../image-config.ts';
import { readContents, type ImageContents } from './contents.ts';
import { sweepDownloads } from './download-dir.ts';
import { collectGarbage, type LayersInUse } from './garbage.ts';
import { readEntries, readStoreIndex, removeImages, repoDigestsOf, writeStoreIndex } from './index-file.ts';
import { locked } from './lock.ts';
import { fullNamesOf } from './lookup.ts';
import type { StorePaths } from './paths.ts';
import { familiarReferences } from './removal.ts';
import { sweepWorkspaces } from './workspace.ts';

/** Ids of images that must stay: those of containers. Asked under the store's lock. */
export type ImagesInUse = () => Iterable<string> | Promise<Iterable<string>>;

export interface PruneOptions {
  /** Every image that is not in use; default: only those without a name. */
  readonly all?: boolean | undefined;
  /** Only images made before. */
  readonly until?: Date | undefined;
  /** Only images with all of these labels: `key` or `key=value`; with `!` before it, only images without. */
  readonly labels?: readonly string[] | undefined;
  readonly inUse?: ImagesInUse | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PruneReport {
  /** Names that went, in short form. */
  readonly untagged: readonly string[];
  /** Ids of images, then the chain ids of layers that nothing else needed. */
  readonly deleted: readonly Digest[];
  /** Disk bytes that are free now. */
  readonly reclaimedBytes: number;
}

const hasLabel = (config: ImageConfig, label: string): boolean => {
  const labels = config.config?.Labels ?? {};
  const [key = '', ...value] = label.split('=');
  if (!Object.hasOwn(labels, key)) return false;
  return value.length === 0 || labels[key] === value.join('=');
};

const fitsLabel = (config: ImageConfig, label: string): boolean =>
  label.startsWith('!') ? !hasLabel(config, label.slice(1)) : hasLabel(config, label);

/** Whether an image goes. One of unknown age counts as old. */
const isPruned = ({ config, named }: ImageContents, { all = false, until, labels = [] }: PruneOptions): boolean =>
  (all || !named) &&
  (until === undefined || !(Date.parse(config.created ?? '') >= until.getTime())) &&
  labels.every((label) => fitsLabel(config, label));

/** See {@link ImageStore.prune}. */
export const pruneStore = async (
  paths: StorePaths,
  layersInUse: LayersInUse | undefined,
  options: PruneOptions,
): Promise<PruneReport> => {
  const { signal, inUse, until } = options;
  let reclaimedBytes = 0;
  const onBytes = (bytes: number): void => {
    reclaimedBytes += bytes;
  };
  await sweepWorkspaces(paths, { signal, onBytes });
  const forgotten = await locked(paths.lockFile, signal, async () => {
    const used = new Set(await inUse?.());
    const index = readStoreIndex(paths);
    const entries = readEntries(index);
    const going = readContents(paths, entries).filter((image) => !used.has(image.id) && isPruned(image, options));
    const ids = new Set(going.map(({ id }) => id));
    if (ids.size > 0) writeStoreIndex(paths, removeImages(index, ids));
    const references = going.flatMap(({ id }) => [...fullNamesOf(entries, id), ...repoDigestsOf(entries, id)]);
    return { going, references };
  });
  onBytes(sweepDownloads(paths, until?.getTime() ?? Date.now()).bytes);
  const { layers } = await collectGarbage(paths, { layersInUse, signal, onBytes });
  const order = new Set(forgotten.going.flatMap(({ config }) => [...chainIds(config.rootfs.diff_ids)].reverse()));
  const gone = new Set(layers);
  return {
    untagged: familiarReferences(forgotten.references),
    deleted: [...forgotten.going.map(({ id }) => id), ...[...order].filter((chainId) => gone.has(chainId))],
    reclaimedBytes,
  };
};
