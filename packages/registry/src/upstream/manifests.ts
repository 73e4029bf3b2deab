import type { FetchedManifest } from '@tsc/image';

import { isRegistryError, RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { RegistryStorage, StoredManifest } from '../storage.ts';
import { newManifest, storedOf } from './documents.ts';
import { ExpiringMap } from './expiring-map.ts';
import { calledUpstream, isNoAnswer, isNotFound } from './failure.ts';
import type { Journal } from './journal.ts';
import { SharedCalls } from './shared-calls.ts';
import type { Sizes } from './sizes.ts';
import type { Located } from './source.ts';

const TAGS_MAX = 20_000;
const MANIFESTS_MAX = 20_000;
/** How often the time of a manifest's last pull is written down. */
const USED_MS = 3_600_000;

const unknown = (reference: string): RegistryError =>
  new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown to repository', { detail: { reference } });

export interface ManifestCacheOptions {
  readonly storage: RegistryStorage;
  readonly sizes: Sizes;
  readonly journal: Journal;
}

/** Something in a repository that somebody waits for. */
interface Wanted extends Located {
  readonly name: string;
}

interface TagAnswer {
  readonly digest: Digest;
  /** Why this is what upstream said before. */
  readonly staleBy?: { readonly cause: unknown };
}

/** Answers for tags and manifests from the storage where it can, and from upstream. */
export class ManifestCache {
  readonly #storage: RegistryStorage;
  readonly #sizes: Sizes;
  readonly #journal: Journal;
  readonly #calls = new SharedCalls();
  /** Tags that upstream was asked about lately. */
  readonly #fresh = new ExpiringMap<true>(TAGS_MAX);
  readonly #absent = new ExpiringMap<true>(TAGS_MAX);
  /** Manifests whose last pull is written down, and whose sizes are known. */
  readonly #used = new ExpiringMap<true>(MANIFESTS_MAX);

  constructor({ storage, sizes, journal }: ManifestCacheOptions) {
    this.#storage = storage;
    this.#sizes = sizes;
    this.#journal = journal;
  }

  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN`, and what upstream's failures are to a client */
  async resolveTag(wanted: Wanted, tag: string, signal: AbortSignal | undefined): Promise<Digest> {
    const key = `${wanted.name}:${tag}`;
    if (this.#absent.get(key) === true) throw unknown(tag);
    if (this.#fresh.get(key) === true) {
      const digest = await this.#localTag(wanted.name, tag);
      if (digest !== undefined) {
        this.#journal.tell(wanted, { type: 'hit', object: 'tag' });
        return digest;
      }
    }
    const { digest, staleBy } = await this.#calls.share(key, signal, () => this.#askTag(wanted, tag));
    if (staleBy !== undefined) this.#journal.tell(wanted, { type: 'stale', object: 'tag', cause: staleBy.cause });
    return digest;
  }

  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN`, and what upstream's failures are to a client */
  async read(wanted: Wanted, digest: Digest, signal: AbortSignal | undefined): Promise<StoredManifest> {
    const local = await this.#localManifest(wanted.name, digest);
    if (local !== undefined) {
      this.#use(wanted.name, digest, local);
      this.#journal.tell(wanted, { type: 'hit', object: 'manifest', sizeBytes: local.bytes.byteLength });
      return local;
    }
    const key = `${wanted.name}@${digest}`;
    if (this.#absent.get(key) === true) throw unknown(digest);
    return await this.#calls.share(key, signal, () => this.#askManifest(wanted, digest));
  }

  /** Forgets what is remembered of a tag, after it was deleted here. */
  forgetTag(name: string, tag: string): void {
    this.#fresh.delete(`${name}:${tag}`);
  }

  forgetManifest(name: string, digest: Digest): void {
    this.#used.delete(`${name}@${digest}`);
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await this.#calls.settled();
  }

  async #askTag(wanted: Wanted, tag: string): Promise<TagAnswer> {
    const { source, name } = wanted;
    const local = await this.#localTag(name, tag);
    try {
      if (local !== undefined && source.away !== undefined) throw source.away.cause;
      const digest =
        local === undefined ? await this.#fetchTag(wanted, tag) : await this.#revalidate(wanted, tag, local);
      this.#fresh.set(`${name}:${tag}`, true, source.tagTtlMs);
      return { digest };
    } catch (cause) {
      if (isNotFound(cause)) {
        this.#absent.set(`${name}:${tag}`, true, source.absentTtlMs);
        if (local !== undefined) await unlessUnknown(this.#storage.deleteTag(name, tag));
        this.#journal.tell(wanted, { type: 'absent', object: 'tag' });
        throw unknown(tag);
      }
      if (local !== undefined && isNoAnswer(cause)) return { digest: local, staleBy: { cause } };
      throw this.#journal.refuse(wanted, { object: 'tag', cause });
    }
  }

  async #fetchTag(wanted: Wanted, tag: string): Promise<Digest> {
    const fetched = await wanted.source.ask((signal) => wanted.repository.manifest(tag, { signal }));
    await this.#keep(wanted, fetched, tag);
    this.#journal.tell(wanted, { type: 'fetched', object: 'tag', sizeBytes: fetched.bytes.byteLength });
    return fetched.descriptor.digest;
  }

  async #revalidate(wanted: Wanted, tag: string, local: Digest): Promise<Digest> {
    const { source, repository, name } = wanted;
    const { digest } = await source.ask((signal) => repository.resolve(tag, { signal }));
    if (digest === local) {
      this.#journal.tell(wanted, { type: 'revalidated', object: 'tag' });
      return digest;
    }
    const known = await this.#localManifest(name, digest);
    if (known !== undefined) await this.#storage.writeManifest(name, newManifest(known, digest, [tag]));
    else await this.#keep(wanted, await source.ask((signal) => repository.manifest(digest, { signal })), tag);
    this.#journal.tell(wanted, { type: 'fetched', object: 'tag' });
    return digest;
  }

  async #askManifest(wanted: Wanted, digest: Digest): Promise<StoredManifest> {
    const { source, repository, name } = wanted;
    try {
      if (!digest.startsWith('sha256:')) throw unknown(digest);
      const fetched = await source.ask((signal) => repository.manifest(digest, { signal }));
      await this.#keep(wanted, fetched);
      this.#journal.tell(wanted, { type: 'fetched', object: 'manifest', sizeBytes: fetched.bytes.byteLength });
      return storedOf(fetched);
    } catch (cause) {
      if (!isNotFound(cause)) throw this.#journal.refuse(wanted, { object: 'manifest', cause });
      this.#absent.set(`${name}@${digest}`, true, source.absentTtlMs);
      this.#journal.tell(wanted, { type: 'absent', object: 'manifest' });
      throw unknown(digest);
    }
  }

  /** A manifest that can't be kept is served all the same. */
  async #keep({ source, name }: Wanted, fetched: FetchedManifest, tag?: string): Promise<void> {
    const { digest } = fetched.descriptor;
    const stored = storedOf(fetched);
    const manifest = asUpstreams(source.upstream.prefix, () =>
      newManifest(stored, digest, tag === undefined ? [] : [tag]),
    );
    this.#sizes.learn(name, stored);
    try {
      await this.#storage.writeManifest(name, manifest);
      this.#used.set(`${name}@${digest}`, true, USED_MS);
    } catch (failure) {
      this.#journal.failed(failure);
    }
  }

  /** Writes down that a manifest was pulled, by writing it again: that is what storages keep a time of. */
  #use(name: string, digest: Digest, manifest: StoredManifest): void {
    const key = `${name}@${digest}`;
    if (this.#used.get(key) === true) return;
    this.#used.set(key, true, USED_MS);
    const write = async (): Promise<void> => {
      try {
        this.#sizes.learn(name, manifest);
        await this.#storage.writeManifest(name, newManifest(manifest, digest));
      } catch (failure) {
        this.#journal.failed(failure);
      }
    };
    void this.#calls.share(`use ${key}`, undefined, write);
  }

  #localTag(name: string, tag: string): Promise<Digest | undefined> {
    return unlessUnknown(this.#storage.resolveTag(name, tag));
  }

  #localManifest(name: string, digest: Digest): Promise<StoredManifest | undefined> {
    return unlessUnknown(this.#storage.readManifest(name, digest));
  }
}

/** A document that we wouldn't take from a client is upstream's fault, not the client's. */
function asUpstreams<T>(prefix: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const what = `${calledUpstream(prefix)} has sent what is no manifest`;
    throw new RegistryError('UNSUPPORTED', what, { status: 502, cause });
  }
}

/** Does without what the storage hasn't got. */
export async function unlessUnknown<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isRegistryError(error) && error.status === 404) return undefined;
    throw error;
  }
}
