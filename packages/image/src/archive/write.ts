import { Readable } from 'node:stream';

import type { Descriptor } from '../descriptor.ts';
import { digestHex, type Digest } from '../digest.ts';
import { artifactBlobs, artifactDocuments, asArtifact, type Artifact } from '../image/artifact.ts';
import { verifiedBytes, type Blob } from '../image/blob.ts';
import { imageId, type Image } from '../image/image.ts';
import { recompressImage } from '../image/recompress.ts';
import type { Compression } from '../layer/compression.ts';
import { CONTAINERD_NAME, REF_NAME } from '../layout/layout-name.ts';
import type { Index } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';
import { formatFamiliarReference, formatReference, parseReference } from '../reference.ts';
import { storeNames } from '../store/store.ts';
import { encodeHeader, padding, TRAILER } from '../tar/writer.ts';

/** An image and the names that an archive gives it. */
export interface NamedImage {
  readonly image: Image;
  readonly names: readonly string[];
}

/** An image, index or other artifact, and the names that an archive gives it. */
export interface NamedArtifact {
  readonly artifact: Artifact | Image;
  readonly names: readonly string[];
}

export interface ArchiveOptions {
  /** Compress the layers so; default: as they are. */
  readonly compression?: Compression | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What can be in a tar archive as a whole: a document, or a blob's stream. */
interface ArchiveMember {
  readonly name: string;
  readonly size: number;
  readonly bytes?: Buffer | undefined;
  readonly blob?: Blob | undefined;
}

const blobName = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;

const json = (name: string, value: unknown): ArchiveMember => {
  const bytes = Buffer.from(JSON.stringify(value));
  return { name, size: bytes.length, bytes };
};

const indexLines = ({ artifact, names }: NamedArtifact): readonly Descriptor[] => {
  const line = asArtifact(artifact).descriptor;
  if (names.length === 0) return [line];
  return names.map((name) => {
    const reference = parseReference(name);
    const own = { [CONTAINERD_NAME]: formatReference(reference), [REF_NAME]: reference.tag ?? 'latest' };
    return { ...line, annotations: { ...line.annotations, ...own } };
  });
};

const dockerEntry = ({ image, names }: NamedImage): unknown => ({
  Config: blobName(imageId(image)),
  RepoTags: names.map((name) => formatFamiliarReference(parseReference(name))),
  Layers: image.layers.map(({ descriptor }) => blobName(descriptor.digest)),
});

const contentOf = (value: Artifact | Image): readonly ArchiveMember[] => {
  const artifact = asArtifact(value);
  const documents = [...artifactDocuments(artifact)].reverse();
  return [
    ...documents.map(({ descriptor, bytes }) => ({ name: blobName(descriptor.digest), size: bytes.length, bytes })),
    ...artifactBlobs(artifact).map((blob) => ({
      name: blobName(blob.descriptor.digest),
      size: blob.descriptor.size,
      blob,
    })),
  ];
};

/** The documents first, so that a reader of the stream knows what comes; each blob once. */
const archiveMembers = (items: readonly NamedArtifact[]): readonly ArchiveMember[] => {
  const index: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: items.flatMap(indexLines) };
  const docker = items.flatMap(({ artifact, names }) =>
    'layers' in artifact ? [dockerEntry({ image: artifact, names })] : [],
  );
  const first = [
    json('oci-layout', { imageLayoutVersion: '1.0.0' }),
    json('index.json', index),
    ...(docker.length === 0 ? [] : [json('manifest.json', docker)]),
  ];
  const content = items.flatMap(({ artifact }) => contentOf(artifact));
  return [...first, ...new Map(content.map((member) => [member.name, member])).values()];
};

const header = (name: string, type: 'file' | 'directory', size: number): Buffer =>
  encodeHeader({ type, name, mode: type === 'file' ? 0o644 : 0o755, uid: 0, gid: 0, size, mtimeNs: 0n });

async function* archiveBytes(
  items: readonly NamedArtifact[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, void> {
  const small: Buffer[] = [header('blobs', 'directory', 0), header('blobs/sha256', 'directory', 0)];
  for (const member of archiveMembers(items)) {
    small.push(header(member.name, 'file', member.size));
    if (member.bytes !== undefined) small.push(member.bytes);
    if (member.blob !== undefined) {
      yield Buffer.concat(small.splice(0));
      // Checked as they pass: an archive must not be complete and wrong.
      yield* verifiedBytes(member.blob, { signal });
    }
    small.push(padding(member.size));
  }
  yield Buffer.concat([...small, TRAILER]);
}

const compressed = async (
  { artifact, names }: NamedArtifact,
  { compression, signal }: ArchiveOptions,
): Promise<NamedArtifact> =>
  compression === undefined || !('layers' in artifact)
    ? { artifact, names }
    : { artifact: await recompressImage(artifact, compression, { signal }), names };

/** The archive of what is found when it is first read. */
export const archiveStream = (
  find: () => AsyncIterable<readonly NamedArtifact[]>,
  options: ArchiveOptions,
): Readable => {
  options.signal?.throwIfAborted();
  return Readable.from(
    (async function* () {
      for await (const items of find()) {
        const ready = await Promise.all(items.map((item) => compressed(item, options)));
        yield* archiveBytes(ready, options.signal);
      }
    })(),
    { objectMode: false },
  );
};

/**
 * A tar archive of images that is an OCI layout and a Docker archive at once, as Docker 25 and later write it: docker,
 * podman and skopeo load it. Equal images give equal bytes. Needs no store and no privilege.
 *
 * @throws {@link ImageError} `REFERENCE_INVALID`; and through the stream `CONTENT_MISMATCH` and what the layers throw
 */
export const archiveImages = (images: readonly NamedImage[], options: ArchiveOptions = {}): Readable =>
  archiveArtifacts(
    images.map(({ image, names }) => ({ artifact: image, names })),
    options,
  );

/**
 * The same of anything: an index goes in with all its members, and other artifacts as they are. Docker's format, which
 * knows neither, lists the images among them only; whoever reads the OCI layout finds all.
 *
 * @param options - `compression`: of the images; what an index has stays as it is
 * @throws {@link ImageError} as {@link archiveImages}
 */
export const archiveArtifacts = (items: readonly NamedArtifact[], options: ArchiveOptions = {}): Readable => {
  const named = items.map(({ artifact, names }) => ({ artifact, names: storeNames(names) }));
  return archiveStream(async function* () {
    yield await Promise.resolve(named);
  }, options);
};
