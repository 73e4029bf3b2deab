import type { Descriptor } from '../descriptor.ts';
import type { Digest } from '../digest.ts';
import { ImageError } from '../errors.ts';
import { asArtifact, imageArtifact, type Artifact } from '../image/artifact.ts';
import { deriveImage, imageId, type Image, type Layer } from '../image/image.ts';
import type { Compression } from '../layer/compression.ts';
import { formatReference, parseReference, type Reference } from '../reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { mapBounded } from '../store/bounded.ts';
import { readEntries, readStoreIndex } from '../store/index-file.ts';
import { findImage } from '../store/lookup.ts';
import type { ImageStore } from '../store/store.ts';
import { Workspace } from '../store/workspace.ts';
import { compressLayer, findCompressedLayer, plainLayers, type CompressContext } from './compress.ts';
import { withEvents } from './event-queue.ts';
import { findMounts } from './mounts.ts';
import { sendArtifact, tellBlob, uploadBlob, type UploadContext } from './upload.ts';

export type PushStatus = 'waiting' | 'preparing' | 'pushing' | 'present' | 'mounted' | 'done';

export interface BlobEvent {
  readonly type: 'blob';
  readonly digest: Digest;
  /** Compression is `preparing`; the digest and the bytes are then those of the uncompressed layer. */
  readonly status: PushStatus;
  readonly currentBytes: number;
  readonly totalBytes: number;
}

export type PushEvent = BlobEvent | ({ readonly type: 'pushed' } & Pushed);

/** The last event, and what the generator returns. */
export interface Pushed {
  /** In full, with its tag or digest. */
  readonly reference: string;
  readonly descriptor: Descriptor;
}

export interface PushArtifactOptions {
  /** How many blobs are on their way at once. Default: 4. */
  readonly parallelBlobs?: number | undefined;
  /** Repositories at the same registry that may have the blobs, so that they need not be sent: `['library/debian']`. */
  readonly mountFrom?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PushOptions {
  /** Where to; default: the name itself. */
  readonly to?: string | undefined;
  /** For layers that are stored uncompressed; default `gzip`. Compressed ones go as they are. */
  readonly compression?: Compression | undefined;
  /** How many blobs are on their way at once. Default: 4. */
  readonly parallelBlobs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where blobs and manifests go: a client. */
export type PushTarget = Pick<RegistryClient, 'repository'>;

const PARALLEL_BLOBS = 4;
/** Compression takes a processor each. */
const PARALLEL_COMPRESSIONS = 2;

/**
 * Sends an image of the store to a registry: only what is missing there, mounted from other repositories of the registry
 * where the store knows that they have it. If the registry has the same image under this name, that takes one request.
 *
 * Layers that are stored uncompressed, as builds leave them, are compressed first, once: the store keeps the result while
 * an image has the layer. The image's id stays the same then, but its manifest is another; otherwise the exact bytes go.
 *
 * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, `REFERENCE_INVALID`, and what a {@link Repository} throws
 */
// eslint-disable-next-line max-params -- from where, to where, what: each is a noun of its own
export async function* pushImage(
  store: ImageStore,
  client: PushTarget,
  nameOrId: string,
  options: PushOptions = {},
): AsyncGenerator<PushEvent, Pushed, void> {
  const reference = targetOf(store, nameOrId, options.to);
  const repository = client.repository(reference);
  const tag = reference.tag as string;
  const { compression = 'gzip', parallelBlobs = PARALLEL_BLOBS } = options;
  return yield* withEvents<PushEvent, Pushed>(options.signal, async (events, signal) => {
    await using work = await Workspace.create(store.paths, signal);
    const image = await holdImage(store, nameOrId, { work, signal });
    const mountFrom = findMounts(store.paths, reference);
    const upload = { repository, events, signal, parallelBlobs, mountFrom, seen: new Set<Digest>() };
    const packed =
      compression === 'none' ? image : await compressImage(image, { paths: store.paths, work, compression }, upload);
    const artifact = imageArtifact(packed);
    await sendArtifact(artifact, tag, upload);
    await store.addRepoDigest(imageId(image), `${reference.domain}/${reference.path}@${artifact.descriptor.digest}`);
    const pushed: Pushed = { reference: formatReference(reference), descriptor: artifact.descriptor };
    events.push({ type: 'pushed', ...pushed });
    return pushed;
  });
}

/** The image, whose layers stay in the store meanwhile. */
const holdImage = async (
  store: ImageStore,
  nameOrId: string,
  { work, signal }: { readonly work: Workspace; readonly signal: AbortSignal },
): Promise<Image> => {
  const image = await store.image(nameOrId);
  for (const { descriptor } of image.layers) {
    if (await work.holdBlob(descriptor.digest, signal)) continue;
    throw new ImageError('IMAGE_NOT_FOUND', `no such image: ${nameOrId}, which was removed meanwhile`, {
      path: nameOrId,
    });
  }
  return image;
};

/** @throws {@link ImageError} `REFERENCE_INVALID`: no name to push to */
const targetOf = (store: ImageStore, nameOrId: string, to: string | undefined): Reference => {
  const { name } = findImage(readEntries(readStoreIndex(store.paths)), nameOrId);
  const text = to ?? (name === undefined || name.includes('@') ? undefined : name);
  if (text === undefined)
    throw new ImageError('REFERENCE_INVALID', `cannot push ${nameOrId}: it is no name with a tag`, { path: nameOrId });
  const reference = parseReference(text);
  if (reference.digest !== undefined)
    throw new ImageError('REFERENCE_INVALID', `cannot push to a digest reference: ${text}`, { path: text });
  return reference;
};

/** Compresses what has to be, sending each layer as soon as it is ready. */
const compressImage = async (image: Image, context: CompressContext, upload: UploadContext): Promise<Image> => {
  const plain = plainLayers(image);
  if (plain.length === 0) return image;
  const { events, signal } = upload;
  const ready = new Map<Digest, Layer>();
  for (const layer of plain) {
    const found = await findCompressedLayer(context, layer, signal);
    if (found !== undefined) ready.set(layer.diffId, found);
  }
  const missing = plain.filter(({ diffId }) => !ready.has(diffId));
  for (const layer of missing) tellBlob(events, layer, { status: 'waiting', bytes: 0 });
  await mapBounded(missing, { limit: PARALLEL_COMPRESSIONS, signal }, async (layer, stop) => {
    const onBytes = (bytes: number): void => {
      tellBlob(events, layer, { status: 'preparing', bytes, isProgress: true });
    };
    const packed = await compressLayer(context, layer, { signal: stop, onBytes });
    ready.set(layer.diffId, packed);
    await uploadBlob(packed, upload, stop);
  });
  return deriveImage(image, { layers: image.layers.map((layer) => ready.get(layer.diffId) ?? layer) });
};

/**
 * Sends an image or artifact, with all that it names, to a registry: only what is missing there, the members of an index
 * before the index. Exact bytes go, so all digests stay.
 *
 * @example for await (const event of pushArtifact(client, 'example.com/copy:1', await client.repository('debian').artifact('12')));
 * @throws {@link ImageError} `CONTENT_MISMATCH`: the reference has the digest of something else; and what a
 *   {@link Repository} and the blobs' sources throw
 */
// eslint-disable-next-line max-params -- to where, under which name, what: each is a noun of its own
export async function* pushArtifact(
  client: PushTarget,
  reference: string | Reference,
  artifact: Artifact | Image,
  options: PushArtifactOptions = {},
): AsyncGenerator<PushEvent, Pushed, void> {
  const target = typeof reference === 'string' ? parseReference(reference) : reference;
  const sent = asArtifact(artifact);
  const { descriptor } = sent;
  const name = formatReference(target);
  if (target.digest !== undefined && target.digest !== descriptor.digest)
    throw new ImageError('CONTENT_MISMATCH', `cannot push ${descriptor.digest} as ${name}`, { path: name });
  const repository = client.repository(target);
  const { parallelBlobs = PARALLEL_BLOBS, mountFrom = [] } = options;
  return yield* withEvents<PushEvent, Pushed>(options.signal, async (events, signal) => {
    const upload = { repository, events, signal, parallelBlobs, mountFrom: () => mountFrom, seen: new Set<Digest>() };
    await sendArtifact(sent, target.tag ?? descriptor.digest, upload);
    const pushed: Pushed = { reference: name, descriptor };
    events.push({ type: 'pushed', ...pushed });
    return pushed;
  });
}
