import { isRegistryError, RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { BlobInfo, MountOptions, RegistryStorage, StorageCall, Upload, UploadChunk } from '../storage.ts';
import { Ledger } from './ledger.ts';
import type { Wish } from './ledger.ts';
import { NO_POLICY } from './policy.ts';
import type { RepositoryPolicy } from './policy.ts';

/** Repositories whose counts are remembered. */
const LEDGERS_MAX = 10_000;

/**
 * Makes a storage that keeps to the quotas of a policy.
 *
 * A blob that would bring its repository over its quota is refused with `DENIED`: by the length that a request announces
 * before any of it is read, otherwise where it passes what is left, and at the latest before it becomes a blob. What counts are
 * the blobs that a repository has, each once, also those that it shares with others, and no manifests. An upload counts in
 * full until its digest says that the repository has the blob already.
 *
 * Promised is: the uploads and mounts of this process never bring a repository over its quota, however many end at once.
 * Several processes together may, by what the others added since this one counted last: a minute and the time of a count. A
 * refusal is always by a count of the last second, so what was deleted or collected is free at once.
 *
 * @returns the storage itself where there is no policy
 */
export function guardStorage(storage: RegistryStorage, policy: RepositoryPolicy = NO_POLICY): RegistryStorage {
  if (policy === NO_POLICY) return storage;
  const quotas = new Quotas(storage, policy);
  return {
    statBlob: (name, digest, options) => storage.statBlob(name, digest, options),
    openBlob: (name, digest, options) => storage.openBlob(name, digest, options),
    blobUrl: (name, digest, options) => storage.blobUrl(name, digest, options),
    startUpload: (name, algorithm, options) => storage.startUpload(name, algorithm, options),
    uploadedBytes: (upload, options) => storage.uploadedBytes(upload, options),
    appendUpload: (upload, chunk, options) => quotas.append(upload, chunk, options),
    finishUpload: (upload, digest, options) => quotas.finish(upload, digest, options),
    cancelUpload: (upload, options) => storage.cancelUpload(upload, options),
    mountBlob: (name, digest, options) => quotas.mount(name, digest, options),
    deleteBlob: (name, digest, options) => storage.deleteBlob(name, digest, options),
    statManifest: (name, digest, options) => storage.statManifest(name, digest, options),
    readManifest: (name, digest, options) => storage.readManifest(name, digest, options),
    writeManifest: (name, manifest, options) => storage.writeManifest(name, manifest, options),
    deleteManifest: (name, digest, options) => storage.deleteManifest(name, digest, options),
    listReferrers: (name, digest, options) => storage.listReferrers(name, digest, options),
    resolveTag: (name, tag, options) => storage.resolveTag(name, tag, options),
    deleteTag: (name, tag, options) => storage.deleteTag(name, tag, options),
    listTags: (name, page, options) => storage.listTags(name, page, options),
    listRepositories: (page, options) => storage.listRepositories(page, options),
    listManifests: (name, options) => storage.listManifests(name, options),
    listTagEntries: (name, options) => storage.listTagEntries(name, options),
    listBlobs: (name, options) => storage.listBlobs(name, options),
    listContents: (options) => storage.listContents(options),
    verifyContent: (digest, options) => storage.verifyContent(digest, options),
    verifyManifest: (name, digest, options) => storage.verifyManifest(name, digest, options),
    removeStaleUploads: (maxAgeMs, options) => storage.removeStaleUploads(maxAgeMs, options),
    collectGarbage: (graceMs, options) => storage.collectGarbage(graceMs, options),
    [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
  };
}

class Quotas {
  readonly #storage: RegistryStorage;
  readonly #policy: RepositoryPolicy;
  /** The latest used last. */
  readonly #ledgers = new Map<string, Ledger>();

  constructor(storage: RegistryStorage, policy: RepositoryPolicy) {
    this.#storage = storage;
    this.#policy = policy;
  }

  async append(upload: Upload, chunk: UploadChunk, options: StorageCall = {}): Promise<number> {
    const { name } = upload;
    const quotaBytes = this.#policy.quotaBytes(name);
    if (quotaBytes === undefined) return this.#storage.appendUpload(upload, chunk, options);
    const before = chunk.offset ?? (await this.#storage.uploadedBytes(upload, options));
    const ledger = await this.#admit(name, quotaBytes, {
      digest: undefined,
      sizeBytes: before + (chunk.sizeBytes ?? 0),
    });
    const bounded = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      let sizeBytes = before;
      for await (const bytes of body) {
        sizeBytes += bytes.byteLength;
        const fits = ledger.usedBytes + sizeBytes <= quotaBytes;
        if (!fits && !(await ledger.admit({ digest: undefined, sizeBytes }, quotaBytes))) {
          throw denied(name, ledger, { quotaBytes, sizeBytes });
        }
        yield bytes;
      }
    };
    return this.#storage.appendUpload(upload, { ...chunk, body: bounded(chunk.body) }, options);
  }

  async finish(upload: Upload, digest: Digest, options: StorageCall = {}): Promise<BlobInfo> {
    const { name } = upload;
    const add = (): Promise<BlobInfo> => this.#storage.finishUpload(upload, digest, options);
    const quotaBytes = this.#policy.quotaBytes(name);
    if (quotaBytes === undefined || (await this.#sizeOf(name, digest, options)) !== undefined) return add();
    const sizeBytes = await this.#storage.uploadedBytes(upload, options);
    return this.#add(name, { quotaBytes, digest, sizeBytes }, { add, isAdded: () => true });
  }

  async mount(name: string, digest: Digest, options: MountOptions): Promise<boolean> {
    const quotaBytes = this.#policy.quotaBytes(name);
    if (quotaBytes === undefined || (await this.#sizeOf(name, digest, options)) !== undefined) {
      return this.#storage.mountBlob(name, digest, options);
    }
    // Nobody can tell the size of a blob that may be anywhere before it is here: then the client uploads it.
    for (const from of options.from ?? []) {
      const sizeBytes = await this.#sizeOf(from, digest, options);
      if (sizeBytes === undefined) continue;
      const add = (): Promise<boolean> => this.#storage.mountBlob(name, digest, { ...options, from: [from] });
      if (await this.#add(name, { quotaBytes, digest, sizeBytes }, { add, isAdded: (mounted) => mounted })) return true;
    }
    return false;
  }

  async #sizeOf(name: string, digest: Digest, { signal }: StorageCall): Promise<number | undefined> {
    try {
      return (await this.#storage.statBlob(name, digest, { signal })).sizeBytes;
    } catch (error) {
      if (isRegistryError(error) && error.code === 'BLOB_UNKNOWN') return undefined;
      throw error;
    }
  }

  async #add<T>(name: string, { quotaBytes, ...wish }: WantedBlob, { add, isAdded }: Addition<T>): Promise<T> {
    const ledger = await this.#admit(name, quotaBytes, wish);
    let added = false;
    try {
      const result = await add();
      added = isAdded(result);
      return result;
    } finally {
      ledger.letGo(wish.digest, added);
    }
  }

  /** @throws {@link RegistryError} `DENIED` */
  async #admit(name: string, quotaBytes: number, wish: Wish): Promise<Ledger> {
    const ledger = this.#ledgerOf(name);
    if (await ledger.admit(wish, quotaBytes)) return ledger;
    throw denied(name, ledger, { quotaBytes, sizeBytes: wish.sizeBytes });
  }

  #ledgerOf(name: string): Ledger {
    const ledger = this.#ledgers.get(name) ?? new Ledger(this.#storage, name);
    this.#ledgers.delete(name);
    this.#ledgers.set(name, ledger);
    for (const [oldest, { idle }] of this.#ledgers) {
      if (this.#ledgers.size <= LEDGERS_MAX || !idle) break;
      this.#ledgers.delete(oldest);
    }
    return ledger;
  }
}

interface WantedBlob {
  readonly quotaBytes: number;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

interface Addition<T> {
  readonly add: () => Promise<T>;
  readonly isAdded: (result: T) => boolean;
}

interface Excess {
  readonly quotaBytes: number;
  readonly sizeBytes: number;
}

function denied(name: string, { usedBytes }: Ledger, { quotaBytes, sizeBytes }: Excess): RegistryError {
  const message = `over quota: ${name}: ${String(usedBytes)} of ${String(quotaBytes)} bytes are used, ${String(sizeBytes)} more are wanted`;
  return new RegistryError('DENIED', message, { detail: { quotaBytes, usedBytes, wantedBytes: sizeBytes } });
}
