import type { Descriptor, Platform } from '../descriptor.ts';
import { digestOf, type Digest } from '../digest.ts';
import { ImageError, quote } from '../errors.ts';
import { parseImageConfig } from '../image-config.ts';
import { parseIndex, parseManifest } from '../manifest.ts';
import { DOCKER_CONFIG, isIndexType, isManifestType, OCI_CONFIG } from '../media-types.ts';
import { hostPlatform, matchDescriptor, matchPlatform, platformNotFound } from '../platform.ts';
import { artifactManifest, isImageLine, isIndexArtifact, type Artifact } from './artifact.ts';
import { readBlob, type Blob, type OpenOptions } from './blob.ts';
import { readImage, type Image } from './image.ts';

/** Where documents and blobs come from: a registry's repository, a layout, an archive. */
export interface ArtifactSource {
  /**
   * The bytes of a manifest or index, which are checked here. `undefined` where a source may have some of an index's
   * members only, and hasn't got this one: it is left out.
   */
  document(descriptor: Descriptor, options: OpenOptions): Promise<Buffer | undefined> | Buffer | undefined;
  /** Nothing is read until the blob is opened. */
  blob(descriptor: Descriptor): Blob;
}

export interface ReadArtifactOptions extends OpenOptions {
  /** Read this machine's manifest of an index, and nothing else of it; default: all that there is. */
  readonly platform?: Platform | undefined;
}

/** Bounds on what one name may make us fetch. Real indexes have some dozens of members, one level deep. */
const DEPTH_MAX = 8;
const DOCUMENTS_MAX = 2_000;
const BYTES_MAX = 64 * 1024 ** 2;
const AT_ONCE = 8;

const refused = (digest: Digest, why: string): ImageError =>
  new ImageError('DOCUMENT_INVALID', `invalid index: ${why}`, { path: digest });

/** One walk: what it has read so far. */
class Walk {
  readonly #source: ArtifactSource;
  readonly #options: OpenOptions;
  readonly #read = new Map<Digest, Promise<Artifact | undefined>>();
  #bytes = 0;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(source: ArtifactSource, options: OpenOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** A document and all below it; the same one twice in an index is read once. */
  async artifact(descriptor: Descriptor, depth: number): Promise<Artifact | undefined> {
    const { digest } = descriptor;
    if (depth > DEPTH_MAX) throw refused(digest, `nested deeper than ${String(DEPTH_MAX)} levels`);
    const running = this.#read.get(digest);
    const read = running ?? this.#fetch(descriptor).then((bytes) => bytes && this.expand({ descriptor, bytes }, depth));
    if (running === undefined) this.#read.set(digest, read);
    if (this.#read.size > DOCUMENTS_MAX) throw refused(digest, `more than ${String(DOCUMENTS_MAX)} documents`);
    const artifact = await read;
    return artifact === undefined ? undefined : { ...artifact, descriptor };
  }

  async expand({ descriptor, bytes }: Pick<Artifact, 'descriptor' | 'bytes'>, depth: number): Promise<Artifact> {
    this.#check(descriptor, bytes);
    if (!isIndexType(descriptor.mediaType)) {
      const { mediaType, config, layers } = parseManifest(bytes, `manifest ${descriptor.digest}`);
      checkType(descriptor, mediaType);
      return { descriptor, bytes, blobs: [config, ...layers].map((line) => this.#source.blob(line)), manifests: [] };
    }
    const { mediaType, manifests: lines } = parseIndex(bytes, `index ${descriptor.digest}`);
    checkType(descriptor, mediaType);
    if (lines.length > DOCUMENTS_MAX) throw refused(descriptor.digest, `more than ${String(DOCUMENTS_MAX)} members`);
    const [documents, others] = [lines.filter(isDocument), lines.filter((line) => !isDocument(line))];
    const members = await settled(documents.map((line) => this.artifact(line, depth + 1)));
    const blobs = others.map((line) => this.#source.blob(line));
    return { descriptor, bytes, blobs, manifests: members.filter((member) => member !== undefined) };
  }

  async #fetch(descriptor: Descriptor): Promise<Buffer | undefined> {
    while (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      this.#options.signal?.throwIfAborted();
      return await this.#source.document(descriptor, this.#options);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  #check({ digest, size }: Descriptor, bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes > BYTES_MAX) throw refused(digest, `its documents have more than ${String(BYTES_MAX)} bytes`);
    if (bytes.length === size && digestOf(bytes) === digest) return;
    const actual = bytes.length === size ? digestOf(bytes) : `one of ${String(bytes.length)} bytes`;
    throw new ImageError('CONTENT_MISMATCH', `document ${digest} of ${String(size)} bytes is ${actual}`, {
      path: digest,
    });
  }
}

/** A document that says another type than its descriptor would be read otherwise by somebody else. */
const checkType = ({ digest, mediaType }: Descriptor, said: string | undefined): void => {
  if (said === undefined || said === mediaType) return;
  throw new ImageError('DOCUMENT_INVALID', `invalid ${digest}: it says it is ${quote(said)}, not ${quote(mediaType)}`, {
    path: digest,
  });
};

/** All of them, or the first error once none runs on. */
const settled = async <T>(promises: readonly Promise<T>[]): Promise<readonly T[]> => {
  await Promise.allSettled(promises);
  return Promise.all(promises);
};

const isDocument = ({ mediaType }: Descriptor): boolean => isManifestType(mediaType) || isIndexType(mediaType);

/**
 * Reads a manifest, or an index with its members, from wherever they are kept. Documents are read now, each once and at
 * most eight at a time, and checked against their digests; blobs are read when they are opened.
 *
 * @param root - the outermost document, with its descriptor: what a name meant
 * @throws {@link ImageError} `DOCUMENT_INVALID` also for an index that is nested deeper than 8 levels, or has more than
 *   2,000 documents or 64 MiB of them; `CONTENT_MISMATCH`; `PLATFORM_NOT_FOUND`; and what the source throws
 */
export const readArtifact = async (
  root: Pick<Artifact, 'descriptor' | 'bytes'>,
  source: ArtifactSource,
  { platform, signal }: ReadArtifactOptions = {},
): Promise<Artifact> => {
  const walk = new Walk(source, { signal });
  if (platform === undefined || !isIndexType(root.descriptor.mediaType)) return walk.expand(root, 0);
  const lines = parseIndex(root.bytes, `index ${root.descriptor.digest}`).manifests;
  const line = matchDescriptor(platform, lines.filter(isImageLine));
  const found = line === undefined ? undefined : await walk.artifact(line, 1);
  // Some indexes don't say what their members are for; those have to be looked into.
  return found ?? (await memberFor(await walk.expand(root, 0), { platform, signal }));
};

interface PlatformOptions extends OpenOptions {
  readonly platform: Platform;
}

export interface ImageMember {
  readonly artifact: Artifact;
  readonly platform: Platform;
}

/** What the members of an index, and of the indexes in it, are for; where no line says so, their configs do. */
export const imageMembers = async (
  index: Artifact,
  { signal, seen = new Set() }: OpenOptions & { readonly seen?: Set<Digest> },
): Promise<readonly ImageMember[]> => {
  if (seen.has(index.descriptor.digest)) return [];
  seen.add(index.descriptor.digest);
  const members: ImageMember[] = [];
  for (const artifact of index.manifests) {
    const { platform } = artifact.descriptor;
    if (isIndexArtifact(artifact)) members.push(...(await imageMembers(artifact, { signal, seen })));
    else if (!isImageLine(artifact.descriptor)) continue;
    else if (platform !== undefined) members.push({ artifact, platform });
    else if (isImageManifest(artifact))
      members.push({ artifact, platform: await configPlatform(artifact, { signal }) });
  }
  return members;
};

const configPlatform = async (artifact: Artifact, options: OpenOptions): Promise<Platform> =>
  parseImageConfig(await readBlob(artifact.blobs[0] as Blob, options), `config of ${artifact.descriptor.digest}`);

/** @throws {@link ImageError} `PLATFORM_NOT_FOUND` */
const memberFor = async (index: Artifact, { platform, signal }: PlatformOptions): Promise<Artifact> => {
  const members = await imageMembers(index, { signal });
  const best = matchPlatform(
    platform,
    members.map((member) => member.platform),
  );
  const found = members.find((member) => member.platform === best);
  if (best !== undefined && found !== undefined) return found.artifact;
  const present = members.map((member) => member.platform);
  throw platformNotFound(platform, { where: `index ${index.descriptor.digest}`, present });
};

/** What old registries call a config. */
const CONFIG_TYPES: ReadonlySet<string> = new Set([OCI_CONFIG, DOCKER_CONFIG, 'application/octet-stream']);

/** Whether a manifest is that of an image, and not of some other artifact. */
export const isImageManifest = (artifact: Artifact): boolean =>
  !isIndexArtifact(artifact) && CONFIG_TYPES.has(artifact.blobs[0]?.descriptor.mediaType ?? '');

/**
 * The image in an artifact: of an index, the one for a platform. Reads the config; layers are read when they are opened.
 *
 * @param options - `platform`: default Linux on this machine for an index; of a lone manifest, which is taken as it is
 *   without, it is a demand
 * @throws {@link ImageError} `PLATFORM_NOT_FOUND`, `IMAGE_INVALID` it is no image, `DOCUMENT_INVALID`,
 *   `CONTENT_MISMATCH`, and what the source throws
 */
export const artifactImage = async (artifact: Artifact, options: ReadArtifactOptions = {}): Promise<Image> => {
  const { platform, signal } = options;
  if (isIndexArtifact(artifact)) {
    return artifactImage(await memberFor(artifact, { platform: platform ?? hostPlatform(), signal }), { signal });
  }
  const { digest } = artifact.descriptor;
  const manifest = artifactManifest(artifact);
  if (!isImageManifest(artifact)) {
    const type = manifest.artifactType ?? manifest.config.mediaType;
    throw new ImageError('IMAGE_INVALID', `${digest} is no image but an artifact of type ${quote(type)}`, {
      path: digest,
    });
  }
  const [config, ...layers] = artifact.blobs as readonly [Blob, ...Blob[]];
  const configBytes = await readBlob(config, { signal });
  const parsed = parseImageConfig(configBytes, `config of ${digest}`);
  if (platform !== undefined && matchPlatform(platform, [parsed]) === undefined)
    throw platformNotFound(platform, { where: `image ${digest}`, present: [parsed] });
  const diffIds = parsed.rootfs.diff_ids;
  return readImage(
    artifact.bytes,
    configBytes,
    layers.map((blob, i) => layerOfBlob(blob, diffIds[i] ?? blob.descriptor.digest)),
  );
};

const layerOfBlob = (blob: Blob, diffId: Digest): Image['layers'][number] => ({
  descriptor: blob.descriptor,
  diffId,
  open: (options) => blob.open(options),
});
