import { isRegistryError } from '../errors.ts';
import { parseManifestDocument } from '../manifest-document.ts';
import type { Digest } from '../names.ts';
import type { ManifestEntry, RegistryStorage, StorageCall, TagEntry } from '../storage.ts';
import { repositoriesOf } from './retention.ts';

export interface ScrubOptions extends StorageCall {
  /** How fast contents are read, so that pulls don't wait for the disk. Default: as fast as it can. */
  readonly bytesPerSecond?: number | undefined;
  /** Is told after each content and each repository. It must not throw. */
  readonly onProgress?: ((progress: ScrubProgress) => void) | undefined;
}

export interface ScrubProgress {
  readonly checkedContents: number;
  readonly checkedBytes: number;
  readonly checkedManifests: number;
  /** What is wrong, up to now. */
  readonly findings: number;
}

/** What is wrong in a storage. Corrupt contents and manifests have been set aside; everything else is left as it is. */
export type ScrubFinding =
  | { readonly type: 'corrupt-content'; readonly digest: Digest; readonly sizeBytes: number }
  | { readonly type: 'corrupt-manifest'; readonly name: string; readonly digest: Digest }
  /** A manifest that needs a blob or member which its repository hasn't, and with what tags it is found. */
  | {
      readonly type: 'incomplete-manifest';
      readonly name: string;
      readonly digest: Digest;
      readonly missing: readonly Digest[];
      readonly tags: readonly string[];
    }
  /** A tag that leads to no manifest. */
  | { readonly type: 'lost-tag'; readonly name: string; readonly tag: string; readonly digest: Digest }
  /** A manifest with a subject that isn't in its subject's list of referrers. */
  | { readonly type: 'lost-referrer'; readonly name: string; readonly digest: Digest; readonly subject: Digest };

export interface ScrubReport extends ScrubProgress {
  readonly intactContents: number;
  /** Contents that were deleted before they were read. */
  readonly goneContents: number;
  readonly found: readonly ScrubFinding[];
}

/**
 * Reads everything that is stored, and compares it with its digests, while others push and pull. A corrupt content is taken
 * from every repository, and a corrupt manifest from its own, so that nobody is served them; a push of the same bytes heals.
 * What is wrong with a repository that others change at the same time is looked at twice before it is reported.
 *
 * @throws whatever the storage does
 */
export async function scrubStorage(storage: RegistryStorage, options: ScrubOptions = {}): Promise<ScrubReport> {
  const scrub = new Scrub(storage, options);
  await scrub.checkContents();
  for await (const name of repositoriesOf(storage, options)) await scrub.checkRepository(name);
  return scrub.report();
}

class Scrub {
  readonly #storage: RegistryStorage;
  readonly #options: ScrubOptions;
  readonly #call: StorageCall;
  readonly #found: ScrubFinding[] = [];
  #intact = 0;
  #gone = 0;
  #contents = 0;
  #bytes = 0;
  #manifests = 0;

  constructor(storage: RegistryStorage, options: ScrubOptions) {
    this.#storage = storage;
    this.#options = options;
    this.#call = { signal: options.signal };
  }

  report(): ScrubReport {
    return { ...this.#progress(), intactContents: this.#intact, goneContents: this.#gone, found: this.#found };
  }

  async checkContents(): Promise<void> {
    const { signal, bytesPerSecond } = this.#options;
    for await (const { digest, sizeBytes } of this.#storage.listContents(this.#call)) {
      signal?.throwIfAborted();
      const state = await this.#storage.verifyContent(digest, { signal, bytesPerSecond });
      this.#contents += 1;
      if (state === 'gone') this.#gone += 1;
      else this.#bytes += sizeBytes;
      if (state === 'intact') this.#intact += 1;
      if (state === 'corrupt') this.#found.push({ type: 'corrupt-content', digest, sizeBytes });
      this.#tell();
    }
  }

  async checkRepository(name: string): Promise<void> {
    for await (const { digest } of this.#storage.listManifests(name, this.#call)) {
      this.#options.signal?.throwIfAborted();
      this.#manifests += 1;
      if ((await this.#storage.verifyManifest(name, digest, this.#call)) === 'corrupt') {
        this.#found.push({ type: 'corrupt-manifest', name, digest });
      }
    }
    const first = await this.#look(name);
    if (first.length > 0) {
      const again = new Set((await this.#look(name)).map((finding) => JSON.stringify(finding)));
      this.#found.push(...first.filter((finding) => again.has(JSON.stringify(finding))));
    }
    this.#tell();
  }

  /** What is missing in a repository now. */
  async #look(name: string): Promise<readonly ScrubFinding[]> {
    const storage = this.#storage;
    const tags = await collect(storage.listTagEntries(name, this.#call));
    const manifests = await collect(storage.listManifests(name, this.#call));
    const blobs = await collect(storage.listBlobs(name, this.#call));
    const present = new Set([...manifests, ...blobs].map(({ digest }) => digest));
    const manifestDigests = new Set(manifests.map(({ digest }) => digest));
    const lostTags = tags
      .filter(({ digest }) => !manifestDigests.has(digest))
      .map(({ tag, digest }) => ({ type: 'lost-tag', name, tag, digest }) as const);
    return [
      ...lostTags,
      ...(await this.#incomplete(name, { manifests, tags, present })),
      ...(await this.#lostReferrers(name, manifests)),
    ];
  }

  async #incomplete(name: string, { manifests, tags, present }: Present): Promise<readonly ScrubFinding[]> {
    const found: ScrubFinding[] = [];
    for (const { digest } of manifests) {
      this.#options.signal?.throwIfAborted();
      const missing = (await this.#needsOf(name, digest)).filter((needed) => !present.has(needed));
      if (missing.length === 0) continue;
      const named = tags.filter((entry) => entry.digest === digest).map(({ tag }) => tag);
      found.push({ type: 'incomplete-manifest', name, digest, missing, tags: named });
    }
    return found;
  }

  /** What a manifest must have in its repository; nothing for one that is gone, or of a type that nobody knows. */
  async #needsOf(name: string, digest: Digest): Promise<readonly Digest[]> {
    try {
      const { bytes, mediaType } = await this.#storage.readManifest(name, digest, this.#call);
      const { blobs, members } = parseManifestDocument(bytes, mediaType);
      return [...new Set([...blobs, ...members])];
    } catch (error) {
      if (isRegistryError(error)) return [];
      throw error;
    }
  }

  async #lostReferrers(name: string, manifests: readonly ManifestEntry[]): Promise<readonly ScrubFinding[]> {
    const bySubject = Map.groupBy(manifests, ({ subject }) => subject);
    const found: ScrubFinding[] = [];
    for (const [subject, referring] of bySubject) {
      if (subject === undefined) continue;
      const listed = new Set(
        (await this.#storage.listReferrers(name, subject, this.#call)).map(({ digest }) => digest),
      );
      const lost = referring.filter(({ digest }) => !listed.has(digest));
      found.push(...lost.map(({ digest }) => ({ type: 'lost-referrer', name, digest, subject }) as const));
    }
    return found;
  }

  #progress(): ScrubProgress {
    return {
      checkedContents: this.#contents,
      checkedBytes: this.#bytes,
      checkedManifests: this.#manifests,
      findings: this.#found.length,
    };
  }

  #tell(): void {
    this.#options.onProgress?.(this.#progress());
  }
}

interface Present {
  readonly manifests: readonly ManifestEntry[];
  readonly tags: readonly TagEntry[];
  /** Manifests and blobs of the repository. */
  readonly present: ReadonlySet<Digest>;
}

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
