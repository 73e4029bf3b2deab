import { mkdir } from 'node:fs/promises';

import { RegistryConfigError, RegistryError } from '../errors.ts';
import type { BlobReader, GarbageStorage, InventoryStorage, RegistryStorage } from '../storage.ts';
import { BlobCache } from './blobs.ts';
import { evictIdle } from './idle.ts';
import { Journal } from './journal.ts';
import { ListCache } from './lists.ts';
import { ManifestCache, unlessUnknown } from './manifests.ts';
import type { CacheOptions, EvictOptions, EvictReport, Upstream } from './options.ts';
import { USER_AGENT } from './requests.ts';
import { Sizes } from './sizes.ts';
import { Source } from './source.ts';
import type { Located } from './source.ts';

const SKIP_AHEAD_BYTES = 64 * 1024 * 1024;

/** A storage that fetches from upstreams what it hasn't got. */
export interface CachingStorage extends RegistryStorage {
  /**
   * Removes cached manifests that nobody pulled for long, except those that one needs which stays. The time of a pull is
   * written down once an hour at most. Blobs go with the next garbage collection.
   */
  evictIdle(options: EvictOptions): Promise<EvictReport>;
}

const namespaceOf = ({ namespace, registry }: Upstream): string => namespace ?? registry;

/**
 * The prefixes of names by the values of `?ns=`: what {@link RegistryOptions.namespaces} takes.
 *
 * @example createRegistry({ storage, namespaces: namespacesOf(upstreams) })
 */
export const namespacesOf = (upstreams: readonly Upstream[]): ReadonlyMap<string, string> =>
  new Map(upstreams.filter(({ prefix }) => prefix !== '').map((upstream) => [namespaceOf(upstream), upstream.prefix]));

/**
 * Makes a storage that fetches from other registries what it hasn't got, and keeps it: names below an upstream's prefix are
 * that upstream's. All other names are as they were.
 *
 * A tag's answer is good for some minutes; then upstream is asked with HEAD whether it is still the same. While upstream is
 * away, what was fetched before is served. Contents are verified, and given to clients as they arrive. Into names of an
 * upstream nothing can be pushed; deleting takes from here what the next pull fetches again.
 *
 * @param storage - is disposed with the cache
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`
 * @example const storage = await cacheUpstreams(files, [{ prefix: 'docker.io', registry: 'docker.io' }], { spoolDir });
 */
export async function cacheUpstreams(
  storage: RegistryStorage,
  upstreams: readonly Upstream[],
  options: CacheOptions,
): Promise<CachingStorage> {
  const parts = makeParts(storage, upstreams, options);
  await mkdir(options.spoolDir, { recursive: true });
  return {
    ...unchanged(storage),
    ...cachedBlobs(parts),
    ...cachedManifests(parts),
    ...changes(parts),
    evictIdle: (evict) => evictIdle(storage, upstreams, evict),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(parts.sources.map((source) => source[Symbol.asyncDispose]()));
      await Promise.all([parts.manifests.settled(), parts.lists.settled(), parts.blobs.settled()]);
      await storage[Symbol.asyncDispose]();
    },
  };
}

interface Parts {
  readonly storage: RegistryStorage;
  readonly sources: readonly Source[];
  readonly manifests: ManifestCache;
  readonly lists: ListCache;
  readonly blobs: BlobCache;
  /** Where a name leads, if it is an upstream's. @throws {@link RegistryError} `DENIED` */
  readonly find: (name: string) => (Located & { readonly name: string }) | undefined;
}

function makeParts(
  storage: RegistryStorage,
  upstreams: readonly Upstream[],
  { spoolDir, skipAheadBytes = SKIP_AHEAD_BYTES, ...told }: CacheOptions,
): Parts {
  checkDistinct(
    'prefix',
    upstreams.map(({ prefix }) => prefix),
  );
  checkDistinct('namespace', upstreams.filter(({ prefix }) => prefix !== '').map(namespaceOf));
  const sources = upstreams
    .map((upstream) => new Source(upstream, USER_AGENT))
    .sort((a, b) => b.upstream.prefix.length - a.upstream.prefix.length);
  const common = { storage, journal: new Journal(told), sizes: new Sizes() };
  return {
    storage,
    sources,
    manifests: new ManifestCache(common),
    lists: new ListCache(common),
    blobs: new BlobCache({ ...common, spoolDir, skipAheadBytes }),
    find: (name) => {
      const source = sources.find((each) => each.has(name));
      return source === undefined ? undefined : { name, ...source.locate(name) };
    },
  };
}

function checkDistinct(option: string, values: readonly string[]): void {
  const twice = values.find((value, at) => values.indexOf(value) !== at);
  if (twice === undefined) return;
  const what = `invalid ${option}: two upstreams have ${JSON.stringify(twice)}`;
  throw new RegistryConfigError('CONFIG_INVALID', what, { option });
}

type Unchanged = InventoryStorage &
  GarbageStorage &
  Pick<
    RegistryStorage,
    'uploadedBytes' | 'appendUpload' | 'finishUpload' | 'cancelUpload' | 'deleteBlob' | 'listRepositories'
  >;

/** An upload is only begun where one may push, and whoever looks through everything wants what is here. */
const unchanged = (storage: RegistryStorage): Unchanged => ({
  uploadedBytes: (upload, call) => storage.uploadedBytes(upload, call),
  appendUpload: (upload, chunk, call) => storage.appendUpload(upload, chunk, call),
  finishUpload: (upload, digest, call) => storage.finishUpload(upload, digest, call),
  cancelUpload: (upload, call) => storage.cancelUpload(upload, call),
  deleteBlob: (name, digest, call) => storage.deleteBlob(name, digest, call),
  listRepositories: (page, call) => storage.listRepositories(page, call),
  listManifests: (name, call) => storage.listManifests(name, call),
  listTagEntries: (name, call) => storage.listTagEntries(name, call),
  listBlobs: (name, call) => storage.listBlobs(name, call),
  listContents: (call) => storage.listContents(call),
  verifyContent: (digest, call) => storage.verifyContent(digest, call),
  verifyManifest: (name, digest, call) => storage.verifyManifest(name, digest, call),
  removeStaleUploads: (maxAgeMs, call) => storage.removeStaleUploads(maxAgeMs, call),
  collectGarbage: (graceMs, call) => storage.collectGarbage(graceMs, call),
});

const cachedBlobs = ({ storage, blobs, find }: Parts): BlobReader => ({
  statBlob: async (name, digest, call = {}) => {
    const wanted = find(name);
    return wanted === undefined ? storage.statBlob(name, digest, call) : blobs.stat(wanted, digest, call.signal);
  },
  openBlob: async (name, digest, call = {}) => {
    const wanted = find(name);
    return wanted === undefined ? storage.openBlob(name, digest, call) : blobs.open(wanted, digest, call.signal);
  },
  blobUrl: async (name, digest, call) =>
    find(name) === undefined ? storage.blobUrl(name, digest, call) : unlessUnknown(storage.blobUrl(name, digest, call)),
});

type CachedManifests = Pick<
  RegistryStorage,
  'statManifest' | 'readManifest' | 'listReferrers' | 'resolveTag' | 'listTags'
>;

const cachedManifests = ({ storage, manifests, lists, find }: Parts): CachedManifests => ({
  statManifest: async (name, digest, call = {}) => {
    const wanted = find(name);
    if (wanted === undefined) return storage.statManifest(name, digest, call);
    const { mediaType, bytes } = await manifests.read(wanted, digest, call.signal);
    return { mediaType, sizeBytes: bytes.byteLength };
  },
  readManifest: async (name, digest, call = {}) => {
    const wanted = find(name);
    return wanted === undefined
      ? storage.readManifest(name, digest, call)
      : manifests.read(wanted, digest, call.signal);
  },
  listReferrers: async (name, digest, call = {}) => {
    const wanted = find(name);
    return wanted === undefined
      ? storage.listReferrers(name, digest, call)
      : lists.referrers(wanted, digest, call.signal);
  },
  resolveTag: async (name, tag, call = {}) => {
    const wanted = find(name);
    return wanted === undefined ? storage.resolveTag(name, tag, call) : manifests.resolveTag(wanted, tag, call.signal);
  },
  listTags: async (name, page, call = {}) => {
    const wanted = find(name);
    return wanted === undefined ? storage.listTags(name, page, call) : lists.tags(wanted, page, call.signal);
  },
});

type Changes = Pick<RegistryStorage, 'startUpload' | 'mountBlob' | 'writeManifest' | 'deleteManifest' | 'deleteTag'>;

function changes({ storage, sources, manifests }: Parts): Changes {
  const refuse = (name: string): void => {
    const source = sources.find((each) => each.has(name));
    if (source !== undefined) throw readOnly(source.upstream);
  };
  return {
    startUpload: async (name, algorithm, call) => {
      refuse(name);
      return storage.startUpload(name, algorithm, call);
    },
    mountBlob: async (name, digest, mount) => {
      refuse(name);
      return storage.mountBlob(name, digest, mount);
    },
    writeManifest: async (name, manifest, call) => {
      refuse(name);
      await storage.writeManifest(name, manifest, call);
    },
    deleteManifest: async (name, digest, call) => {
      await storage.deleteManifest(name, digest, call);
      manifests.forgetManifest(name, digest);
    },
    deleteTag: async (name, tag, call) => {
      await storage.deleteTag(name, tag, call);
      manifests.forgetTag(name, tag);
    },
  };
}

const readOnly = ({ prefix, registry }: Upstream): RegistryError =>
  new RegistryError(
    'UNSUPPORTED',
    `${prefix === '' ? 'this registry' : prefix} is a cache of ${registry}: push there`,
    {
      headers: { Allow: 'GET, HEAD' },
    },
  );
