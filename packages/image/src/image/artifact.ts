import type { Descriptor, Platform } from '../descriptor.ts';
import { digestOf, type Digest } from '../digest.ts';
import { compact } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import { parseIndex, parseManifest, type Index, type Manifest } from '../manifest.ts';
import { isIndexType, isManifestType, OCI_EMPTY, OCI_MANIFEST } from '../media-types.ts';
import { blobFromBytes, type Blob } from './blob.ts';
import type { Image } from './image.ts';

/** A manifest or index with all that it names: what a source gives for a name, and what a sink takes. Immutable. */
export interface Artifact {
  /** Of `bytes`, with platform, artifact type and annotations where they are known: a line of an index. */
  readonly descriptor: Descriptor;
  /** The exact bytes of the document. */
  readonly bytes: Buffer;
  /** Of a manifest: its config, then its layers. Of an index: members that are neither manifest nor index. */
  readonly blobs: readonly Blob[];
  /** Of an index: its members, less those that the source hasn't got. */
  readonly manifests: readonly Artifact[];
}

/** The manifest in an artifact. @throws {@link ImageError} `DOCUMENT_INVALID`: it is an index */
export const artifactManifest = (artifact: Artifact): Manifest =>
  parseManifest(artifact.bytes, `manifest ${artifact.descriptor.digest}`);

/** The index in an artifact. @throws {@link ImageError} `DOCUMENT_INVALID`: it is a manifest */
export const artifactIndex = (artifact: Artifact): Index =>
  parseIndex(artifact.bytes, `index ${artifact.descriptor.digest}`);

export const isIndexArtifact = (artifact: Artifact): boolean => isIndexType(artifact.descriptor.mediaType);

/** The machine that a config is for. */
export const platformOf = ({ config }: Image): Platform =>
  compact({
    architecture: config.architecture,
    os: config.os,
    variant: config.variant,
    'os.version': config['os.version'],
    'os.features': config['os.features'],
  });

/** An image as what sinks take. */
export const imageArtifact = (image: Image): Artifact => {
  const { config, artifactType } = image.manifest;
  const configBlob = { ...blobFromBytes(image.configBytes, config.mediaType), descriptor: config };
  return {
    descriptor: compact({
      mediaType: image.manifest.mediaType ?? OCI_MANIFEST,
      digest: digestOf(image.manifestBytes),
      size: image.manifestBytes.length,
      platform: platformOf(image),
      artifactType,
    }),
    bytes: image.manifestBytes,
    blobs: [configBlob, ...image.layers],
    manifests: [],
  };
};

export const asArtifact = (value: Artifact | Image): Artifact => ('bytes' in value ? value : imageArtifact(value));

/** The same artifact, described otherwise where an index lists it: its platform, or annotations of the line. */
export const describeArtifact = (
  value: Artifact | Image,
  line: Pick<Descriptor, 'platform' | 'annotations'>,
): Artifact => {
  const artifact = asArtifact(value);
  return { ...artifact, descriptor: compact({ ...artifact.descriptor, ...line }) };
};

/** Every document of an artifact once, members before the indexes that list them: the order to store them in. */
export const artifactDocuments = (artifact: Artifact): readonly Artifact[] => {
  const seen = new Map<Digest, Artifact>();
  const visit = (each: Artifact): void => {
    if (seen.has(each.descriptor.digest)) return;
    each.manifests.forEach(visit);
    seen.set(each.descriptor.digest, each);
  };
  visit(artifact);
  return [...seen.values()];
};

/** Every blob of an artifact and its members once. */
export const artifactBlobs = (artifact: Artifact): readonly Blob[] => {
  const blobs = artifactDocuments(artifact).flatMap((document) => document.blobs);
  return [...new Map(blobs.map((blob) => [blob.descriptor.digest, blob])).values()];
};

export interface ArtifactParts {
  /** What the artifact is, a media type: `application/spdx+json`. */
  readonly artifactType: string;
  /** Default: the empty one. */
  readonly config?: Blob | undefined;
  readonly blobs: readonly Blob[];
  /** The manifest that this is about: a signature's image. Registries list it as a referrer. */
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export const EMPTY_BLOB: Blob = blobFromBytes(Buffer.from('{}'), OCI_EMPTY);

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;

export const checkArtifactType = (type: string): string => {
  if (!MEDIA_TYPE.test(type))
    throw new ImageError('IMAGE_INVALID', `invalid artifact type ${quote(type)}: want a media type`, { path: type });
  return type;
};

/** What a `subject` keeps of a descriptor: the machine and the annotations are those of some index. */
export const asSubject = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });

/**
 * Makes something other than an image: an SBOM, a signature, a Helm chart. Without blobs it has the empty one, because
 * registries want at least one.
 *
 * @throws {@link ImageError} `IMAGE_INVALID`: the type is no media type
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
 */
export const composeArtifact = (parts: ArtifactParts): Artifact => {
  const config = parts.config ?? EMPTY_BLOB;
  const blobs = parts.blobs.length === 0 ? [EMPTY_BLOB] : parts.blobs;
  const artifactType = checkArtifactType(parts.artifactType);
  const manifest: Manifest = compact({
    schemaVersion: 2 as const,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: config.descriptor,
    layers: blobs.map(({ descriptor }) => descriptor),
    subject: parts.subject === undefined ? undefined : asSubject(parts.subject),
    annotations: parts.annotations,
  });
  const bytes = Buffer.from(JSON.stringify(manifest));
  return {
    descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length, artifactType },
    bytes,
    blobs: [config, ...blobs],
    manifests: [],
  };
};

/** Signatures and attestations are listed like images, for no platform. */
export const isImageLine = ({ mediaType, platform, artifactType }: Descriptor): boolean =>
  isManifestType(mediaType) && artifactType === undefined && platform?.os !== 'unknown';
