import { isRegistryError } from '../errors.ts';
import type { Digest } from '../names.ts';
import type { Page } from '../pagination.ts';
import type { RegistryStorage, TagEntry } from '../storage.ts';
import { viewConfig, viewManifest } from './document.ts';
import type { ConfigView, Descriptor, ManifestDocumentView } from './document.ts';
import { KeptReadings } from './kept-readings.ts';
import { RecentMap } from './recent-map.ts';

/** What a list shows of a manifest. */
export interface Summary {
  readonly platforms: readonly string[];
  /** Bytes of the smallest and the largest image behind it, compressed as they are kept. */
  readonly sizeBytes: readonly [least: number, most: number];
}

export interface ImageView extends ManifestDocumentView {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly manifestBytes: number;
  /** Undefined: it has none that is an image's. */
  readonly image: ConfigView | undefined;
}

const CONFIG_MAX_BYTES = 4 * 1024 * 1024;
const CONFIG_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
const SUMMARIES_MAX = 20_000;
const LISTS_MAX = 50;
/** A repository with more has only so many of them on its pages. */
export const TAGS_MAX = 50_000;
const MEMBERS_MAX = 64;
const AT_ONCE = 8;

/** Names that a search looks through at once. */
export const NAMES_MAX = 20_000;

/** Reads for the page what a storage has. Manifests never change under their digest, so what is known of one stays true. */
export class Catalogue {
  readonly #storage: RegistryStorage;
  readonly #summaries = new RecentMap<Promise<Summary>>(SUMMARIES_MAX);
  readonly #tags = new KeptReadings(LISTS_MAX, (name) => this.#readTags(name));
  readonly #names = new KeptReadings(1, () => this.#storage.listRepositories({ limit: NAMES_MAX, after: undefined }));

  constructor(storage: RegistryStorage) {
    this.#storage = storage;
  }

  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  async image(name: string, digest: Digest, signal?: AbortSignal): Promise<ImageView> {
    const { mediaType, bytes } = await this.#storage.readManifest(name, digest, { signal });
    const view = viewManifest(bytes);
    const image = view.config === undefined ? undefined : await this.#config(name, view.config, signal);
    return { ...view, digest, mediaType, manifestBytes: bytes.byteLength, image };
  }

  async #config(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<ConfigView | undefined> {
    if (!CONFIG_TYPES.has(descriptor.mediaType) || descriptor.sizeBytes > CONFIG_MAX_BYTES) return undefined;
    const blob = await unlessUnknown(this.#storage.openBlob(name, descriptor.digest, { signal }));
    if (blob === undefined) return undefined;
    if (blob.sizeBytes > CONFIG_MAX_BYTES || blob.sizeBytes === 0) {
      await blob.close();
      return undefined;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of blob.stream() as AsyncIterable<Buffer>) chunks.push(chunk);
    return viewConfig(Buffer.concat(chunks));
  }

  /** Undefined: it has gone. */
  async summary(name: string, digest: Digest): Promise<Summary | undefined> {
    const key = `${name}@${digest}`;
    const known = this.#summaries.get(key);
    if (known !== undefined) return unlessUnknown(known);
    // Not with the request's signal: others may wait for it too.
    const made = this.#summarize(name, digest);
    this.#summaries.set(key, made);
    made.catch(() => this.#summaries.delete(key));
    return unlessUnknown(made);
  }

  async #summarize(name: string, digest: Digest): Promise<Summary> {
    const { members, image, ...manifest } = await this.image(name, digest);
    if (members.length === 0) {
      const sizeBytes = sizeOf(manifest);
      return { platforms: image?.platform === undefined ? [] : [image.platform], sizeBytes: [sizeBytes, sizeBytes] };
    }
    const shown = members.filter(({ platform }) => platform !== undefined).slice(0, MEMBERS_MAX);
    const sizes = await eachOf(shown, (member) => this.memberBytes(name, member.digest));
    const known = sizes.flatMap((size) => size ?? []);
    return {
      platforms: [...new Set(shown.flatMap(({ platform }) => platform ?? []))],
      sizeBytes: known.length === 0 ? [0, 0] : [Math.min(...known), Math.max(...known)],
    };
  }

  /** Bytes of an image that an index names, not of what it may be an index of. Undefined: it isn't here. */
  async memberBytes(name: string, digest: Digest): Promise<number | undefined> {
    const stored = await unlessUnknown(this.#storage.readManifest(name, digest));
    return stored && sizeOf(viewManifest(stored.bytes));
  }

  /** Tags of a repository, in no order; at most {@link TAGS_MAX}. They may be some seconds old. */
  tags(name: string): Promise<readonly TagEntry[]> {
    return this.#tags.get(name);
  }

  /** The first {@link NAMES_MAX} repositories, as old as that. */
  names(): Promise<Page<string>> {
    return this.#names.get('');
  }

  async #readTags(name: string): Promise<readonly TagEntry[]> {
    const entries: TagEntry[] = [];
    for await (const entry of this.#storage.listTagEntries(name)) {
      if (entries.push(entry) === TAGS_MAX) break;
    }
    return entries;
  }
}

/** What an image weighs on its way. */
export const sizeOf = ({ config, layers }: Pick<ManifestDocumentView, 'config' | 'layers'>): number =>
  layers.reduce((sum, layer) => sum + layer.sizeBytes, config?.sizeBytes ?? 0);

/** Some at a time, in their order. */
export async function eachOf<T, R>(values: readonly T[], act: (value: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let at = 0; at < values.length; at += AT_ONCE) {
    results.push(...(await Promise.all(values.slice(at, at + AT_ONCE).map(act))));
  }
  return results;
}

export async function unlessUnknown<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isRegistryError(error) && error.status === 404) return undefined;
    throw error;
  }
}
