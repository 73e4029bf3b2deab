import { RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { BlobInfo, OpenBlob, RegistryStorage } from '../storage.ts';
import { Download } from './download.ts';
import { ExpiringMap } from './expiring-map.ts';
import { isMismatch, isNotFound } from './failure.ts';
import type { Journal } from './journal.ts';
import { unlessUnknown } from './manifests.ts';
import { untilAborted } from './shared-calls.ts';
import { askSize } from './sizes.ts';
import type { Sizes } from './sizes.ts';
import type { Located } from './source.ts';

const ABSENT_MAX = 20_000;

const unknown = (digest: Digest): RegistryError =>
  new RegistryError('BLOB_UNKNOWN', 'blob unknown to repository', { detail: { digest } });

export interface BlobCacheOptions {
  readonly storage: RegistryStorage;
  readonly sizes: Sizes;
  readonly journal: Journal;
  readonly spoolDir: string;
  readonly skipAheadBytes: number;
}

interface Wanted extends Located {
  readonly name: string;
}

/** Answers for blobs from the storage where it can, and from upstream, each blob once for all who want it. */
export class BlobCache {
  readonly #options: BlobCacheOptions;
  /** By name and digest; undefined: it turned out to be in the storage. */
  readonly #downloads = new Map<string, Promise<Download | undefined>>();
  readonly #running = new Set<Promise<void>>();
  readonly #absent = new ExpiringMap<true>(ABSENT_MAX);

  constructor(options: BlobCacheOptions) {
    this.#options = options;
  }

  /** @throws {@link RegistryError} `BLOB_UNKNOWN`, and what upstream's failures are to a client */
  async stat(wanted: Wanted, digest: Digest, signal: AbortSignal | undefined): Promise<BlobInfo> {
    const { storage, sizes } = this.#options;
    const local = await unlessUnknown(storage.statBlob(wanted.name, digest, { signal }));
    if (local !== undefined) return local;
    this.#checkPresent(wanted, digest);
    try {
      const known = sizes.get(wanted.name, digest);
      if (known === undefined) return { sizeBytes: await this.#askSize(wanted, digest) };
      const asked = digest as `sha256:${string}`;
      if (await wanted.source.ask((stop) => wanted.repository.hasBlob(asked, { signal: stop })))
        return { sizeBytes: known };
    } catch (cause) {
      throw this.#refuse(wanted, digest, cause);
    }
    throw this.#refuseAbsent(wanted, digest);
  }

  /** @throws {@link RegistryError} `BLOB_UNKNOWN`, and what upstream's failures are to a client */
  async open(wanted: Wanted, digest: Digest, signal: AbortSignal | undefined): Promise<OpenBlob> {
    const { storage, journal } = this.#options;
    const local = await unlessUnknown(storage.openBlob(wanted.name, digest, { signal }));
    if (local !== undefined) {
      journal.tell(wanted, { type: 'hit', object: 'blob', sizeBytes: local.sizeBytes });
      return local;
    }
    this.#checkPresent(wanted, digest);
    for (;;) {
      const download = await this.#wait(this.#join(wanted, digest), signal);
      if (download === undefined) return await storage.openBlob(wanted.name, digest, { signal });
      // Its last reader may have gone away just now.
      if (download.isStopped) continue;
      if (download.failure !== undefined) throw this.#refuse(wanted, digest, download.failure.cause);
      const blob = download.open();
      journal.tell(wanted, { type: 'fetched', object: 'blob', sizeBytes: blob.sizeBytes });
      return blob;
    }
  }

  /** Resolves when no download is under way any more. */
  async settled(): Promise<void> {
    while (this.#downloads.size > 0 || this.#running.size > 0)
      await Promise.allSettled([...this.#downloads.values(), ...this.#running]);
  }

  /** A client that goes away while it waits counts as a reader that has left. */
  async #wait(joining: Promise<Download | undefined>, signal: AbortSignal | undefined): Promise<Download | undefined> {
    try {
      return await untilAborted(joining, signal);
    } catch (error) {
      if (signal?.aborted === true) joining.then((download) => download?.open().close()).catch(() => undefined);
      throw error;
    }
  }

  #checkPresent({ name }: Wanted, digest: Digest): void {
    if (!digest.startsWith('sha256:') || this.#absent.get(`${name}@${digest}`) === true) throw unknown(digest);
  }

  /** The download that is under way, or a new one; of those who come at once, the first begins it. */
  async #join(wanted: Wanted, digest: Digest): Promise<Download | undefined> {
    const key = `${wanted.name}@${digest}`;
    const running = this.#downloads.get(key);
    if (running === undefined) return await this.#launch(wanted, digest);
    const download = await running;
    const isOver = download?.isStopped === true || download?.failure !== undefined;
    if (!isOver) return download;
    if (this.#downloads.get(key) === running) this.#downloads.delete(key);
    return await this.#join(wanted, digest);
  }

  #launch(wanted: Wanted, digest: Digest): Promise<Download | undefined> {
    const key = `${wanted.name}@${digest}`;
    const begun = this.#begin(wanted, digest);
    this.#downloads.set(key, begun);
    const forget = (): void => {
      if (this.#downloads.get(key) === begun) this.#downloads.delete(key);
    };
    begun.then(async (started) => {
      await started?.ended;
      forget();
    }, forget);
    return begun;
  }

  async #begin(wanted: Wanted, digest: Digest): Promise<Download | undefined> {
    const { storage, sizes } = this.#options;
    const { name } = wanted;
    // It may have come between the look into the storage and now.
    if ((await unlessUnknown(storage.statBlob(name, digest))) !== undefined) return undefined;
    const known = sizes.get(name, digest);
    try {
      const sizeBytes = known ?? (await this.#askSize(wanted, digest));
      return await this.#start(wanted, digest, sizeBytes);
    } catch (cause) {
      if (known === undefined || !isMismatch(cause)) throw this.#refuse(wanted, digest, cause);
    }
    // A manifest lied about the size; others may not.
    sizes.forget(name, digest);
    return await this.#begin(wanted, digest);
  }

  async #start({ source, repository, name }: Wanted, digest: Digest, sizeBytes: number): Promise<Download> {
    const { storage, journal, spoolDir, skipAheadBytes } = this.#options;
    const download = await Download.start({
      repository,
      storage,
      name,
      digest,
      sizeBytes,
      spoolDir,
      skipAheadBytes,
      abandoned: source.upstream.abandoned ?? 'finish-half',
      signal: source.closing,
      onUnstored: (cause) => journal.failed(cause),
      onBroken: (cause) => {
        source.failed(cause);
        journal.tell({ source, name }, { type: 'failed', object: 'blob', sizeBytes, cause });
      },
    });
    const ended = download.ended.finally(() => this.#running.delete(ended));
    this.#running.add(ended);
    try {
      await source.ask(() => download.begun);
      return download;
    } catch (error) {
      download.stop(error);
      throw error;
    }
  }

  async #askSize({ source, repository }: Wanted, digest: Digest): Promise<number> {
    return await source.ask((signal) => askSize(repository, digest, signal));
  }

  #refuse(wanted: Wanted, digest: Digest, cause: unknown): Error {
    if (isNotFound(cause)) return this.#refuseAbsent(wanted, digest);
    return this.#options.journal.refuse(wanted, { object: 'blob', cause });
  }

  #refuseAbsent(wanted: Wanted, digest: Digest): RegistryError {
    this.#absent.set(`${wanted.name}@${digest}`, true, wanted.source.absentTtlMs);
    this.#options.journal.tell(wanted, { type: 'absent', object: 'blob' });
    return unknown(digest);
  }
}
