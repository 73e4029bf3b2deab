import { readFileSync } from 'node:fs';

import { chainIds, digestHex, type Digest } from '../digest.ts';
import { parseImageConfig, type ImageConfig } from '../image-config.ts';
import { parseManifest } from '../manifest.ts';
import { repoDigestsOf, type IndexEntry } from './index-file.ts';
import { blobFile, type StorePaths } from './paths.ts';

/** What one image of the store consists of, by the hexadecimal digits that the files are named by. */
export interface ImageContents {
  readonly id: Digest;
  readonly config: ImageConfig;
  readonly named: boolean;
  /** Of manifests (under other names it may have others), config and layers, and of the indexes that list it. */
  readonly blobs: ReadonlySet<string>;
  /** Chain ids. */
  readonly layers: readonly string[];
  readonly diffIds: readonly string[];
}

/** Each image once. */
export const readContents = (paths: StorePaths, entries: readonly IndexEntry[]): readonly ImageContents[] =>
  [...new Set(entries.map(({ id }) => id))].map((id) => readImageContents(paths, entries, id));

const readImageContents = (paths: StorePaths, entries: readonly IndexEntry[], id: Digest): ImageContents => {
  const lines = entries.filter((entry) => entry.id === id);
  const config = parseImageConfig(readFileSync(blobFile(paths, id)), id);
  const manifests = lines.map(({ descriptor }) => descriptor.digest);
  const layers = manifests.flatMap((digest) =>
    parseManifest(readFileSync(blobFile(paths, digest)), digest).layers.map((layer) => layer.digest),
  );
  const indexes = repoDigestsOf(entries, id).map((name) => name.slice(name.indexOf('@') + 1) as Digest);
  return {
    id,
    config,
    named: lines.some(({ name }) => name !== undefined),
    blobs: new Set([id, ...manifests, ...layers, ...indexes].map(digestHex)),
    layers: chainIds(config.rootfs.diff_ids).map(digestHex),
    diffIds: config.rootfs.diff_ids.map(digestHex),
  };
};
