import type { Platform } from '../descriptor.ts';
import { compact } from '../document.ts';
import type { ImageConfig } from '../image-config.ts';
import { composeImage } from '../image/image.ts';
import { openSource, type ByteSource, type LayerLimits } from '../layer/unpack.ts';
import { hostPlatform } from '../platform.ts';
import { commit } from '../store/commit.ts';
import { Ingest } from '../store/ingest.ts';
import { storeNames, type ImageStore, type StoredImage } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { applyChanges } from './changes.ts';

export interface ImportOptions {
  /** Name for the image; without one it has its id only. */
  readonly reference?: string | undefined;
  /** Lines of a Dockerfile for its config: `CMD ["/bin/sh"]`, `ENV A=b`. */
  readonly changes?: readonly string[] | undefined;
  /** Comment in the history. */
  readonly message?: string | undefined;
  /** Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** Default: now. A fixed time makes the image's id depend on its content only. */
  readonly created?: Date | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes an image of a root filesystem's tar archive (plain, gzip or zstd) in one pass: `docker import`. The bytes are
 * kept as they came, as the layer's blob.
 *
 * @throws {@link ImageError} as `unpackLayer`, and `REFERENCE_INVALID`, `CHANGE_INVALID` before anything is read
 * @remarks Privilege: root, for the owners and devices of the tree.
 */
export const importImage = async (
  store: ImageStore,
  source: ByteSource,
  options: ImportOptions = {},
): Promise<StoredImage> => {
  const names = storeNames(options.reference === undefined ? [] : [options.reference]);
  const config = applyChanges({}, options.changes ?? []);
  await using work = await Workspace.create(store.paths, options.signal);
  const ingest = new Ingest(store.paths, work, options);
  const layer = await ingest.firstLayer(openSource(source));
  const image = composeImage({ ...describe(options), config, rootfs: { type: 'layers', diff_ids: [layer.diffId] } }, [
    layer,
  ]);
  const entry = await ingest.image(image);
  await commit(store.paths, ingest.staged, { images: [{ entry, names }], signal: options.signal });
  return await store.resolve(entry.id);
};

const describe = (options: ImportOptions): Omit<ImageConfig, 'rootfs'> => {
  const { platform = hostPlatform(), created = new Date(), message = '' } = options;
  const time = created.toISOString();
  return compact({
    created: time,
    architecture: platform.architecture,
    os: platform.os,
    variant: platform.variant,
    history: [compact({ created: time, comment: message === '' ? undefined : message })],
  });
};
