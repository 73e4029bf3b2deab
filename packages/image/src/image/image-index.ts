import type { Descriptor, Platform } from '../descriptor.ts';
import { digestOf, type Digest } from '../digest.ts';
import { compact } from '../document.ts';
import { ImageError } from '../errors.ts';
import type { Index } from '../manifest.ts';
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, isIndexType, OCI_INDEX } from '../media-types.ts';
import { formatPlatform, isSamePlatform, platformNotFound } from '../platform.ts';
import { artifactIndex, asArtifact, asSubject, checkArtifactType, isImageLine, type Artifact } from './artifact.ts';
import type { Image } from './image.ts';
import { isImageManifest } from './read-artifact.ts';

export interface IndexOptions {
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly subject?: Descriptor | undefined;
  readonly artifactType?: string | undefined;
  /** Default: OCI's. Docker's manifest list takes Docker's manifests only, and none of the three above. */
  readonly mediaType?: string | undefined;
}

/** BuildKit's mark on an attestation: the manifest that it is about, in the same index. */
const ATTESTED = 'vnd.docker.reference.digest';

const invalid = (why: string): ImageError => new ImageError('IMAGE_INVALID', `invalid index: ${why}`);

/** A member with the line that an index gets for it. */
const memberOf = (value: Artifact | Image): Artifact => {
  const artifact = asArtifact(value);
  const { digest, platform } = artifact.descriptor;
  if (isImageManifest(artifact) && platform === undefined)
    throw invalid(`what is ${digest} for? Pass artifactImage(…), or describeArtifact(…, { platform })`);
  return artifact;
};

const checkList = (members: readonly Artifact[], { annotations, subject, artifactType }: IndexOptions): void => {
  if (annotations !== undefined || subject !== undefined || artifactType !== undefined)
    throw invalid('a Docker manifest list has no annotations, subject or artifact type');
  const other = members.find(({ descriptor }) => descriptor.mediaType !== DOCKER_MANIFEST);
  if (other !== undefined) throw invalid(`a Docker manifest list cannot have ${other.descriptor.mediaType}`);
};

const indexArtifact = (
  document: unknown,
  mediaType: string,
  parts: Pick<Artifact, 'manifests' | 'blobs'>,
): Artifact => {
  const bytes = Buffer.from(JSON.stringify(document));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes, ...parts };
};

/**
 * Makes an index of images, one for each platform, or of anything else. What a line says comes from the member's
 * descriptor; an image's says its platform. An index among the members is nested: for its members pass
 * `...index.manifests`.
 *
 * @throws {@link ImageError} `IMAGE_INVALID`: two images for one platform, an image without one, or what a Docker list
 *   can't have
 */
export const composeIndex = (members: readonly (Artifact | Image)[], options: IndexOptions = {}): Artifact => {
  const { mediaType = OCI_INDEX, annotations, subject, artifactType } = options;
  if (!isIndexType(mediaType)) throw invalid(`${JSON.stringify(mediaType)} is no index`);
  const manifests = members.map(memberOf);
  if (mediaType === DOCKER_MANIFEST_LIST) checkList(manifests, options);
  refuseTwins(manifests.map(({ descriptor }) => descriptor));
  const index: Index = compact({
    schemaVersion: 2 as const,
    mediaType,
    artifactType: artifactType === undefined ? undefined : checkArtifactType(artifactType),
    manifests: manifests.map(({ descriptor }) => descriptor),
    subject: subject === undefined ? undefined : asSubject(subject),
    annotations,
  });
  const artifact = indexArtifact(index, mediaType, { manifests, blobs: [] });
  return artifactType === undefined ? artifact : { ...artifact, descriptor: { ...artifact.descriptor, artifactType } };
};

const refuseTwins = (lines: readonly Descriptor[]): void => {
  const images = lines.filter((line) => isImageLine(line) && line.platform !== undefined);
  for (const [i, { platform }] of images.entries()) {
    const twin = images.slice(0, i).find((line) => isSamePlatform(line.platform as Platform, platform as Platform));
    if (twin !== undefined) throw invalid(`two images for ${formatPlatform(platform as Platform)}`);
  }
};

/** An index with other lines; the rest of the document stays as it is, known to us or not. */
const withLines = (
  index: Artifact,
  change: (lines: readonly Descriptor[]) => readonly Descriptor[],
  members: readonly Artifact[],
): Artifact => {
  const lines = artifactIndex(index).manifests;
  const document = JSON.parse(index.bytes.toString()) as { readonly manifests: readonly unknown[] };
  const asWritten = new Map(lines.map((line, i) => [line, document.manifests[i]]));
  const after = change(lines);
  const kept = new Set(after.map(({ digest }) => digest));
  const manifests = after.map((line) => asWritten.get(line) ?? line);
  const changed = indexArtifact({ ...document, manifests }, index.descriptor.mediaType, {
    manifests: members.filter(({ descriptor }) => kept.has(descriptor.digest)),
    blobs: index.blobs,
  });
  const { artifactType } = index.descriptor;
  return artifactType === undefined ? changed : { ...changed, descriptor: { ...changed.descriptor, artifactType } };
};

/**
 * A new index with a member: in the place of the one for the same platform (whose attestations go with it) or with the
 * same digest, else at the end.
 *
 * @throws {@link ImageError} as {@link composeIndex}, and `DOCUMENT_INVALID`: it is no index
 */
export const withIndexMember = (index: Artifact, value: Artifact | Image): Artifact => {
  const member = memberOf(value);
  const { descriptor } = member;
  if (index.descriptor.mediaType === DOCKER_MANIFEST_LIST) checkList([member], {});
  const isReplaced = (line: Descriptor): boolean =>
    line.digest === descriptor.digest ||
    (isImageLine(line) &&
      isImageLine(descriptor) &&
      line.platform !== undefined &&
      descriptor.platform !== undefined &&
      isSamePlatform(line.platform, descriptor.platform));
  const others = index.manifests.filter((each) => each.descriptor.digest !== descriptor.digest);
  return withLines(
    index,
    (lines) => {
      const first = lines.findIndex(isReplaced);
      const gone = lines.filter((line) => isReplaced(line) && line.digest !== descriptor.digest);
      const kept = lines.map((line, i) => (i === first ? descriptor : line));
      return [...(first < 0 ? [...lines, descriptor] : kept)].filter(
        (line) => line === descriptor || !(isReplaced(line) || gone.some(({ digest }) => isAbout(line, digest))),
      );
    },
    [...others, member],
  );
};

const isAbout = ({ annotations }: Descriptor, digest: Digest): boolean => annotations?.[ATTESTED] === digest;

/**
 * A new index without a member, and without the attestations that are about it.
 *
 * @param which - a platform, or a digest
 * @throws {@link ImageError} `PLATFORM_NOT_FOUND`, `IMAGE_NOT_FOUND`, `DOCUMENT_INVALID`: it is no index
 */
export const withoutIndexMember = (index: Artifact, which: Platform | Digest): Artifact => {
  const isGone = (line: Descriptor): boolean =>
    typeof which === 'string'
      ? line.digest === which
      : isImageLine(line) && line.platform !== undefined && isSamePlatform(line.platform, which);
  const lines = artifactIndex(index).manifests;
  const gone = lines.filter(isGone);
  if (gone.length === 0) throw notFound(index, which);
  return withLines(
    index,
    (all) => all.filter((line) => !isGone(line) && !gone.some(({ digest }) => isAbout(line, digest))),
    index.manifests,
  );
};

const notFound = (index: Artifact, which: Platform | Digest): ImageError => {
  const where = `index ${index.descriptor.digest}`;
  if (typeof which === 'string')
    return new ImageError('IMAGE_NOT_FOUND', `no such member: ${which} in ${where}`, { path: which });
  const present = artifactIndex(index).manifests.flatMap((line) =>
    isImageLine(line) && line.platform !== undefined ? [line.platform] : [],
  );
  return platformNotFound(which, { where, present });
};

/** A new index with these annotations besides its own. To annotate a line of it, see {@link describeArtifact}. */
export const annotateIndex = (index: Artifact, annotations: Readonly<Record<string, string>>): Artifact => {
  const { annotations: own } = artifactIndex(index);
  if (index.descriptor.mediaType === DOCKER_MANIFEST_LIST) throw invalid('a Docker manifest list has no annotations');
  const document = JSON.parse(index.bytes.toString()) as object;
  const { manifests, blobs } = index;
  return indexArtifact({ ...document, annotations: { ...own, ...annotations } }, index.descriptor.mediaType, {
    manifests,
    blobs,
  });
};
