import { join } from 'node:path';

import { digestHex, type Digest } from '../digest.ts';

/** Where everything of a store lies. */
export interface StorePaths {
  readonly rootDir: string;
  readonly contentDir: string;
  readonly blobsDir: string;
  readonly layersDir: string;
  /** One directory for each running write, named at random; its owner holds a lock on the file `lock` in it. */
  readonly workDir: string;
  /** A directory for each layer that is being fetched, or was not fetched to its end, named by its digest. */
  readonly downloadsDir: string;
  /** Says for diff ids which blob is their compressed form, made for a push. */
  readonly compressedDir: string;
  readonly indexFile: string;
  readonly layoutFile: string;
  /** Held while `index.json` changes, and while content that it names comes or goes. */
  readonly lockFile: string;
}

export const storePaths = (rootDir: string): StorePaths => {
  const contentDir = join(rootDir, 'content');
  return {
    rootDir,
    contentDir,
    blobsDir: join(contentDir, 'blobs', 'sha256'),
    layersDir: join(rootDir, 'layers'),
    workDir: join(rootDir, 'work'),
    downloadsDir: join(rootDir, 'downloads'),
    compressedDir: join(rootDir, 'compressed'),
    indexFile: join(contentDir, 'index.json'),
    layoutFile: join(contentDir, 'oci-layout'),
    lockFile: join(rootDir, 'images.lock'),
  };
};

export const blobFile = (paths: StorePaths, digest: Digest): string => join(paths.blobsDir, digestHex(digest));

/** An unpacked layer, named by its chain id: the same changes on another base are another directory. */
export const layerDir = (paths: StorePaths, chainId: Digest): string => join(paths.layersDir, digestHex(chainId));
