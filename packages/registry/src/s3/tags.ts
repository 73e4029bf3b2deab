import { RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { Page, PageRequest } from '../pagination.ts';
import type { StorageCall } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { behindRepository, END, MANIFESTS, repositoryKey, tagKey, tagsPrefix } from './layout.ts';
import { manifestUnknown, readTag } from './manifests.ts';
import type { TagKey } from './manifests.ts';

const PAGE_MAX = 1000;

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function resolveTag(bucket: Bucket, key: TagKey, call?: StorageCall): Promise<Digest> {
  const digest = await readTag(bucket, key, call);
  if (digest === undefined) throw manifestUnknown(key.tag);
  return digest;
}

/** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
export async function deleteTag(bucket: Bucket, name: string, tag: string): Promise<void> {
  const key = tagKey(name, tag);
  if ((await bucket.stat(key)) === undefined) throw manifestUnknown(tag);
  await bucket.remove(key);
}

/** @throws {@link RegistryError} `NAME_UNKNOWN` */
export async function listTags(
  bucket: Bucket,
  name: string,
  { limit, after, signal }: PageRequest & StorageCall,
): Promise<Page<string>> {
  const prefix = tagsPrefix(name);
  const pageEntries = entriesOf(limit);
  const keys = bucket.list(prefix, {
    after: after === undefined ? undefined : `${prefix}${after}`,
    pageEntries,
    signal,
  });
  const page = await takeFrom(tagsOf(keys, prefix), limit);
  if (page.entries.length === 0 && (await bucket.stat(repositoryKey(name), { signal })) === undefined) {
    throw new RegistryError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  }
  return page;
}

async function* tagsOf(keys: AsyncIterable<{ readonly key: string }>, prefix: string): AsyncGenerator<string> {
  for await (const { key } of keys) yield key.slice(prefix.length);
}

export const listRepositories = (
  bucket: Bucket,
  { limit, after, signal }: PageRequest & StorageCall,
): Promise<Page<string>> => {
  const behind = after === undefined ? undefined : behindRepository(MANIFESTS, after);
  const options = { delimiter: END, after: behind, pageEntries: entriesOf(limit), signal };
  return takeFrom(bucket.listNames(MANIFESTS, options), limit);
};

/** One more than wanted says whether there is a next page. */
const entriesOf = (limit: number | undefined): number | undefined =>
  limit === undefined ? undefined : Math.min(limit + 1, PAGE_MAX);

async function takeFrom(names: AsyncIterable<string>, limit: number | undefined): Promise<Page<string>> {
  const entries: string[] = [];
  if (limit === 0) return { entries, next: undefined };
  for await (const name of names) {
    if (entries.length === limit) return { entries, next: entries.at(-1) };
    entries.push(name);
  }
  return { entries, next: undefined };
}
