import { readFileSync } from 'node:fs';

import type { Digest } from '../digest.ts';
import { parseManifest } from '../manifest.ts';
import { parseReference, type Reference } from '../reference.ts';
import { readEntries, readStoreIndex } from '../store/index-file.ts';
import { blobFile, type StorePaths } from '../store/paths.ts';
import type { MountFrom } from './upload.ts';

/** Each candidate may cost a request, so there must not be many. */
const CANDIDATES_MAX = 3;

/** Which repositories of a registry had a blob when an image with it was pulled or pushed. */
export const findMounts = (paths: StorePaths, { domain, path }: Reference): MountFrom => {
  const repositories = new Map<Digest, Set<string>>();
  for (const { descriptor, repoDigests } of readEntries(readStoreIndex(paths))) {
    const known = repoDigests.map(parseReference).filter((each) => each.domain === domain && each.path !== path);
    if (known.length === 0) continue;
    const { config, layers } = parseManifest(readFileSync(blobFile(paths, descriptor.digest)), descriptor.digest);
    for (const { digest } of [config, ...layers]) {
      const set = repositories.get(digest) ?? new Set();
      known.forEach((each) => set.add(each.path));
      repositories.set(digest, set);
    }
  }
  return (digest) => [...(repositories.get(digest) ?? [])].slice(0, CANDIDATES_MAX);
};
