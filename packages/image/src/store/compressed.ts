import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { hasCode } from '@tsc/sys';

import { digestHex, type Digest } from '../digest.ts';
import { asDigest, asInteger, parseDocument, requiredMember } from '../document.ts';
import type { Compression } from '../layer/compression.ts';
import { replaceFile } from './durable.ts';
import { namesIn } from './disk.ts';
import type { StorePaths } from './paths.ts';

/** A blob that was made of an uncompressed layer, for whoever wants the layer compressed again. */
export interface CompressedBlob {
  readonly digest: Digest;
  readonly size: number;
}

const NAME = /^([0-9a-f]{64})\.(?:gzip|zstd)\.json$/;

const recordFile = (paths: StorePaths, diffId: Digest, compression: Compression): string =>
  join(paths.compressedDir, `${digestHex(diffId)}.${compression}.json`);

const read = (file: string): CompressedBlob | undefined => {
  try {
    const node = parseDocument(readFileSync(file), file);
    return { digest: asDigest(requiredMember(node, 'digest')), size: asInteger(requiredMember(node, 'size')) };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

/** The blob that was made before, which may be gone meanwhile: hold it. */
export const findCompressed = (
  paths: StorePaths,
  diffId: Digest,
  compression: Compression,
): CompressedBlob | undefined => read(recordFile(paths, diffId, compression));

/** Call under the store's lock. */
export const recordCompressed = (
  paths: StorePaths,
  blob: CompressedBlob,
  made: { readonly diffId: Digest; readonly compression: Compression },
): void => {
  mkdirSync(paths.compressedDir, { recursive: true, mode: 0o700 });
  replaceFile(recordFile(paths, made.diffId, made.compression), JSON.stringify(blob));
};

/** Every record: the diff id's hexadecimal digits, and the blob's. Call under the store's lock. */
export const compressedBlobs = (
  paths: StorePaths,
): readonly { readonly file: string; readonly diffHex: string; readonly blobHex: string }[] =>
  namesIn(paths.compressedDir).flatMap((name) => {
    const diffHex = NAME.exec(name)?.[1];
    const file = join(paths.compressedDir, name);
    const blob = diffHex === undefined ? undefined : read(file);
    return diffHex === undefined || blob === undefined ? [] : [{ file, diffHex, blobHex: digestHex(blob.digest) }];
  });

/** Forgets those whose diff id no image has; returns the blobs of the others. Call under the store's lock. */
export const keepCompressed = (paths: StorePaths, diffHexes: ReadonlySet<string>): ReadonlySet<string> => {
  const kept = new Set<string>();
  for (const { file, diffHex, blobHex } of compressedBlobs(paths)) {
    if (diffHexes.has(diffHex)) kept.add(blobHex);
    else rmSync(file, { force: true });
  }
  return kept;
};
