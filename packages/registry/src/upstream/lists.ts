import { ImageError } from '@tsc/image';

import { RegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import { compareBytes, takePage } from '../pagination.ts';
import type { Page, PageRequest } from '../pagination.ts';
import type { Referrer, RegistryStorage } from '../storage.ts';
import { referrersOf } from './documents.ts';
import { ExpiringMap } from './expiring-map.ts';
import { isNoAnswer, isNotFound } from './failure.ts';
import type { Journal } from './journal.ts';
import { unlessUnknown } from './manifests.ts';
import { SharedCalls } from './shared-calls.ts';
import type { Located } from './source.ts';

const LISTS_MAX = 200;
/** A list of tags that is longer isn't believed. */
const TAGS_MAX = 500_000;

export interface ListCacheOptions {
  readonly storage: RegistryStorage;
  readonly journal: Journal;
}

interface Wanted extends Located {
  readonly name: string;
}

interface Listed<T> {
  readonly entries: readonly T[];
  /** Why this is what we have, and not what there is. */
  readonly staleBy?: { readonly cause: unknown } | undefined;
}

interface Asking<T> {
  readonly key: string;
  readonly signal: AbortSignal | undefined;
  readonly ask: () => Promise<readonly T[]>;
  /** What we have ourselves; undefined: nothing. */
  readonly local: () => Promise<readonly T[] | undefined>;
}

/** Answers for lists as upstream has them, and with what is here while upstream is away. */
export class ListCache {
  readonly #storage: RegistryStorage;
  readonly #journal: Journal;
  readonly #calls = new SharedCalls();
  readonly #lists = new ExpiringMap<Listed<never>>(LISTS_MAX);

  constructor({ storage, journal }: ListCacheOptions) {
    this.#storage = storage;
    this.#journal = journal;
  }

  /** @throws {@link RegistryError} `NAME_UNKNOWN`, and what upstream's failures are to a client */
  async tags(wanted: Wanted, page: PageRequest, signal: AbortSignal | undefined): Promise<Page<string>> {
    const { source, repository, name } = wanted;
    const tags = await this.#list<string>(wanted, {
      key: name,
      signal,
      ask: () => source.ask((stop) => collect(repository.tags({ signal: stop }))),
      local: async () => {
        const found = await unlessUnknown(this.#storage.listTags(name, { limit: undefined, after: undefined }));
        return found?.entries;
      },
    });
    return takePage(tags, page);
  }

  /** What upstream lists, and what is known here besides. @throws {@link RegistryError} */
  async referrers(wanted: Wanted, digest: Digest, signal: AbortSignal | undefined): Promise<readonly Referrer[]> {
    const { source, repository, name } = wanted;
    const local = await this.#storage.listReferrers(name, digest, { signal });
    if (!digest.startsWith('sha256:')) return local;
    const asked = digest as `sha256:${string}`;
    const listed = await this.#list<Referrer>(wanted, {
      key: `${name}@${digest}`,
      signal,
      ask: () => source.ask(async (stop) => referrersOf(await repository.referrers(asked, { signal: stop }))),
      local: () => Promise.resolve([]),
    });
    const all = new Map([...listed, ...local].map((referrer) => [referrer.digest, referrer]));
    return [...all.values()].sort((a, b) => compareBytes(a.digest, b.digest));
  }

  /** Resolves when no call is under way any more. */
  async settled(): Promise<void> {
    await this.#calls.settled();
  }

  async #list<T>(wanted: Wanted, asking: Asking<T>): Promise<readonly T[]> {
    const known: Listed<T> | undefined = this.#lists.get(asking.key);
    const { entries, staleBy } =
      known ?? (await this.#calls.share(asking.key, asking.signal, () => this.#ask(wanted, asking)));
    if (known !== undefined) this.#journal.tell(wanted, { type: 'hit', object: 'list' });
    else if (staleBy === undefined) this.#journal.tell(wanted, { type: 'fetched', object: 'list' });
    else this.#journal.tell(wanted, { type: 'stale', object: 'list', cause: staleBy.cause });
    return entries;
  }

  async #ask<T>(wanted: Wanted, { key, ask, local }: Asking<T>): Promise<Listed<T>> {
    const { source, name } = wanted;
    const have = await local();
    try {
      if (have !== undefined && source.away !== undefined) throw source.away.cause;
      const listed: Listed<T> = { entries: await ask() };
      this.#lists.set(key, listed as Listed<never>, source.tagTtlMs);
      return listed;
    } catch (cause) {
      if (isNotFound(cause)) {
        this.#journal.tell(wanted, { type: 'absent', object: 'list' });
        throw new RegistryError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
      }
      if (have !== undefined && isNoAnswer(cause)) return { entries: have, staleBy: { cause } };
      throw this.#journal.refuse(wanted, { object: 'list', cause });
    }
  }
}

async function collect(tags: AsyncIterable<string>): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const tag of tags) {
    found.add(tag);
    if (found.size > TAGS_MAX) throw new ImageError('REGISTRY_FAILED', `more than ${String(TAGS_MAX)} tags`);
  }
  return [...found].sort(compareBytes);
}
