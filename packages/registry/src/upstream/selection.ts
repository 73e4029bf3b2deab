import { artifactIndex, ImageError, isIndexArtifact, matchPlatform, parsePlatform } from '@tsc/image';
import type { Artifact, Descriptor } from '@tsc/image';

/** What BuildKit's attestations say which member they are about. */
const REFERENCE = 'vnd.docker.reference.digest';

/**
 * The members of an index for some platforms, and what is attested about these.
 *
 * @throws {@link ImageError} `PLATFORM_NOT_FOUND`: none of the platforms is there; `PLATFORM_INVALID`
 */
export function selectMembers(
  members: readonly Descriptor[],
  platforms: readonly string[] | undefined,
): readonly Descriptor[] {
  if (platforms === undefined) return members;
  const images = members.filter(({ platform }) => platform?.os !== 'unknown');
  const candidates = images.flatMap(({ platform }) => platform ?? []);
  const wanted = new Set(platforms.map((platform) => matchPlatform(parsePlatform(platform), candidates)));
  const chosen = images.filter(({ platform }) => platform !== undefined && wanted.has(platform));
  if (chosen.length === 0)
    throw new ImageError('PLATFORM_NOT_FOUND', `the index has no member for ${platforms.join(' or ')}`);
  const kept = new Set<string>(chosen.map(({ digest }) => digest));
  return members.filter(({ digest, annotations }) => kept.has(digest) || kept.has(annotations?.[REFERENCE] ?? ''));
}

/** An index with only the members for some platforms. Its bytes stay, so it still names all. */
export function selectPlatforms(artifact: Artifact, platforms: readonly string[] | undefined): Artifact {
  if (platforms === undefined || !isIndexArtifact(artifact)) return artifact;
  const kept = new Set(selectMembers(artifactIndex(artifact).manifests, platforms).map(({ digest }) => digest));
  return { ...artifact, manifests: artifact.manifests.filter(({ descriptor }) => kept.has(descriptor.digest)) };
}

/** Layers that stay with who made them. */
export const isForeign = (mediaType: string): boolean =>
  mediaType.includes('.nondistributable.') || mediaType.includes('.rootfs.foreign.');
