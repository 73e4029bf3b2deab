import { availableParallelism } from 'node:os';

import type { Descriptor, Platform } from '../descriptor.ts';
import { isDigest, type Digest } from '../digest.ts';
import { compact } from '../document.ts';
import { isImageError } from '../errors.ts';
import type { Artifact } from '../image/artifact.ts';
import { imageId, type Image } from '../image/image.ts';
import { artifactImage, readArtifact } from '../image/read-artifact.ts';
import type { LayerLimits } from '../layer/unpack.ts';
import { isIndexType } from '../media-types.ts';
import { hostPlatform } from '../platform.ts';
import { formatReference, parseReference, type Reference } from '../reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { commit } from '../store/commit.ts';
import { dropDownload } from '../store/download-dir.ts';
import { readEntries, readStoreIndex, type IndexEntry } from '../store/index-file.ts';
import { Ingest, type IngestOptions } from '../store/ingest.ts';
import type { ImageStore, StoredImage } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { downloadLayers, isWorthKeeping } from './delivery.ts';
import type { OpenPart } from './download.ts';
import { withEvents, type EventQueue } from './event-queue.ts';
import { findCurrent, findKnown, PullCache, type PullRepository } from './pull-cache.ts';
import { checkLayers, explainForeign } from './pull-check.ts';

export interface PullOptions {
  /**
   * Which image of an index; default: Linux on this machine. A name that stands for one image only means that one,
   * whatever it is for, unless this demands something else.
   */
  readonly platform?: Platform | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
  /** How many layers are on their way at once. Default: 3, or 2 where there are no more cores. */
  readonly parallelLayers?: number | undefined;
  /** How many requests fetch one large layer at once. Default: 3. */
  readonly parallelChunks?: number | undefined;
  /** A connection that brings less than 16 KiB in this time is given up for a new one. Default: 30,000. */
  readonly stallMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is known of a layer on its way in; the order of the words is the order of events. */
export type PullStatus = 'waiting' | 'downloading' | 'verifying' | 'unpacking' | 'present' | 'done';

export interface LayerEvent {
  readonly type: 'layer';
  readonly digest: Digest;
  readonly status: PullStatus;
  /** Of the compressed layer: fetched while it is downloading, read again while it is unpacking. */
  readonly currentBytes: number;
  readonly totalBytes: number;
}

export type PullEvent =
  | {
      readonly type: 'resolved';
      /** In full: `docker.io/library/debian:latest`. */
      readonly reference: string;
      /** Of the image's manifest, with its platform where it is one of an index. */
      readonly descriptor: Descriptor;
    }
  | LayerEvent
  | ({ readonly type: 'pulled' } & PulledImage);

/** The last event, and what the generator returns. */
export interface PulledImage {
  readonly image: StoredImage;
  /** Of what the name stands for at the registry: a manifest, or an index. */
  readonly digest: Digest;
  /** False when the store had the image under this name already. */
  readonly changed: boolean;
}

/** Where images come from: a client for every registry, or one repository. */
export type PullSource = Pick<RegistryClient, 'repository'> | PullRepository;

/** Each takes some megabytes and, while it is unpacked, a core or two. */
const PARALLEL_LAYERS = Math.max(2, Math.min(3, availableParallelism()));
const PARALLEL_CHUNKS = 3;
const STALL_MS = 30_000;

/**
 * Fetches an image into the store, and unpacks its layers while they come: layers in parallel, large ones in several
 * requests at once. What the store has is not fetched again; an image that hasn't changed costs one request. Nothing can
 * be seen of the image before all of it is there, verified, and on the disk.
 *
 * Aborted, dropped or killed, it leaves what was fetched of its layers, and the next pull goes on from there.
 *
 * @param reference - `debian:12`; with a digest the image gets no name, only its digest, as in Docker
 * @throws {@link ImageError} what a {@link Repository} and `unpackLayer` throw; `PLATFORM_NOT_FOUND`; `IMAGE_INVALID`: it
 *   is no image; `CONTENT_MISMATCH`: the registry lies, and nothing is left of what it said
 * @remarks Privilege: root, for the owners and devices of unpacked layers.
 */
// eslint-disable-next-line max-params -- to where, from where, what: each is a noun of its own
export async function* pullImage(
  store: ImageStore,
  source: PullSource,
  reference: string | Reference,
  options: PullOptions = {},
): AsyncGenerator<PullEvent, PulledImage, void> {
  const parsed = typeof reference === 'string' ? parseReference(reference) : reference;
  const repository = 'repository' in source ? source.repository(parsed) : source;
  return yield* withEvents<PullEvent, PulledImage>(options.signal, async (events, signal) => {
    const context = { options: { ...options, signal }, events };
    const pulled = await new Pull(store, { repository, reference: parsed }, context).run();
    events.push({ type: 'pulled', ...pulled });
    return pulled;
  });
}

interface Wanted {
  readonly repository: PullRepository;
  readonly reference: Reference;
}

type Root = Pick<Artifact, 'descriptor' | 'bytes'>;

/** One pull, on its way. */
class Pull {
  readonly #store: ImageStore;
  readonly #wanted: Wanted;
  readonly #options: PullOptions & { readonly signal: AbortSignal };
  readonly #events: EventQueue<PullEvent>;
  /** In full. */
  readonly #name: string;

  constructor(
    store: ImageStore,
    wanted: Wanted,
    context: {
      readonly options: PullOptions & { readonly signal: AbortSignal };
      readonly events: EventQueue<PullEvent>;
    },
  ) {
    this.#store = store;
    this.#wanted = wanted;
    this.#options = context.options;
    this.#events = context.events;
    this.#name = formatReference(wanted.reference);
  }

  async run(): Promise<PulledImage> {
    const { platform, signal } = this.#options;
    const { repository, reference } = this.#wanted;
    const known = findKnown(this.#store.paths, reference);
    // Somebody who has the image asks first; who hasn't fetches it at once.
    const asked =
      known.entries.length === 0
        ? undefined
        : (reference.digest ?? (await repository.resolve(reference.tag as string, { signal })).digest);
    const current =
      asked === undefined ? undefined : findCurrent(this.#store.paths, known, { digest: asked, platform });
    if (asked !== undefined && current !== undefined) return this.#unchanged(current, asked);
    await using work = await Workspace.create(this.#store.paths, signal);
    const cache = new PullCache(this.#store.paths, work, repository);
    const root = await this.#root(cache, asked ?? reference.digest ?? (reference.tag as string));
    return await this.#fetch(root, { work, cache, repoDigest: `${known.repository}@${root.descriptor.digest}` });
  }

  async #unchanged({ id, descriptor }: IndexEntry, digest: Digest): Promise<PulledImage> {
    this.#events.push({ type: 'resolved', reference: this.#name, descriptor: withoutAnnotations(descriptor) });
    const image = await this.#store.resolve(id);
    for (const layer of image.layers) this.#events.push(layerEvent(layer.digest, 'present', 0, 0));
    return { image, digest, changed: false };
  }

  /** The document that the name stands for. */
  async #root(cache: PullCache, which: string): Promise<Root> {
    const { signal } = this.#options;
    const stored = isDigest(which) ? await cache.stored(which, { signal }) : undefined;
    return stored ?? (await this.#wanted.repository.manifest(which, { signal }));
  }

  async #fetch(
    root: Root,
    { work, cache, repoDigest }: { readonly work: Workspace; readonly cache: PullCache; readonly repoDigest: string },
  ): Promise<PulledImage> {
    const { platform, limits, signal, parallelLayers = PARALLEL_LAYERS } = this.#options;
    const isIndex = isIndexType(root.descriptor.mediaType);
    const artifact = await readArtifact(root, cache, { platform: platform ?? hostPlatform(), signal });
    const image = await artifactImage(artifact, { platform: isIndex ? undefined : platform, signal });
    checkLayers(this.#name, image);
    this.#events.push({ type: 'resolved', reference: this.#name, descriptor: artifact.descriptor });
    const ingest = new Ingest(this.#store.paths, work, { signal, limits, parallelLayers, ...this.#transport(image) });
    const names = this.#wanted.reference.digest === undefined ? [this.#name] : [];
    const before = this.#holder(names[0] ?? repoDigest);
    try {
      const entry = { ...(await ingest.image(image)), repoDigests: [repoDigest] };
      if (isIndex) await ingest.document(root.bytes);
      await commit(this.#store.paths, ingest.staged, { images: [{ entry, names }], signal });
    } catch (error) {
      if (!isWorthKeeping(error, signal)) this.#dropDownloads(image);
      throw error;
    }
    this.#dropDownloads(image);
    const id = imageId(image);
    return { image: await this.#store.resolve(id), digest: root.descriptor.digest, changed: before !== id };
  }

  /** Where layers come from, and what is told of them. */
  #transport(image: Image): Pick<IngestOptions, 'deliver' | 'onLayer'> {
    const { parallelChunks = PARALLEL_CHUNKS, stallMs = STALL_MS } = this.#options;
    const told = new Map<Digest, PullStatus>();
    const tell = ({ digest, size }: Descriptor, status: PullStatus, bytes: number): void => {
      const event = layerEvent(digest, status, bytes, size);
      if (told.get(digest) === status) this.#events.update(event, digest);
      else this.#events.push(event, digest);
      told.set(digest, status);
    };
    for (const { descriptor } of image.layers) if (!told.has(descriptor.digest)) tell(descriptor, 'waiting', 0);
    const openPart: OpenPart = async (descriptor, options) => {
      try {
        return await this.#wanted.repository.openBlob(descriptor, options);
      } catch (error) {
        throw isImageError(error) && error.code === 'REGISTRY_NOT_FOUND' ? explainForeign(error, descriptor) : error;
      }
    };
    return {
      deliver: downloadLayers(this.#store.paths, { openPart, parallelChunks, stallMs, onStatus: tell }),
      onLayer: ({ descriptor }, status) => {
        tell(descriptor, status, descriptor.size);
      },
    };
  }

  /** The image that has a reference now. */
  #holder(reference: string): Digest | undefined {
    return readEntries(readStoreIndex(this.#store.paths)).find(
      ({ name, repoDigests }) => name === reference || repoDigests.includes(reference),
    )?.id;
  }

  #dropDownloads({ layers }: Image): void {
    for (const { descriptor } of layers) dropDownload(this.#store.paths, descriptor.digest);
  }
}

const withoutAnnotations = ({ mediaType, digest, size, platform }: Descriptor): Descriptor =>
  compact({ mediaType, digest, size, platform });

const layerEvent = (
  digest: Digest,
  status: PullStatus,
  ...[currentBytes, totalBytes]: readonly [currentBytes: number, totalBytes: number]
): LayerEvent => ({ type: 'layer', digest, status, currentBytes, totalBytes });
