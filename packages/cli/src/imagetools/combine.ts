import {
  artifactIndex,
  composeIndex,
  describeArtifact,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  formatPlatform,
  isIndexArtifact,
  OCI_INDEX,
  parsePlatform,
} from '@tsc/image';
import type { Artifact, Digest } from '@tsc/image';

import type { Annotation } from './annotation.ts';

/** Makes one image of several: an index of all of them, and of the members of those that are indexes themselves. */
export function combine(
  sources: readonly Artifact[],
  { annotations, preferIndex }: { readonly annotations: readonly Annotation[]; readonly preferIndex: boolean },
): Artifact {
  const [only, ...more] = sources;
  const copied = only !== undefined && more.length === 0 && annotations.length === 0;
  // A single index stays as it is, byte for byte; so does a single image, if that is what is wanted.
  if (copied && (isIndexArtifact(only) || !preferIndex)) return only;
  const members = annotate(mergeMembers(sources.flatMap(membersOf)), annotations);
  const onIndex = annotations.filter(({ target }) => target === 'index');
  if (annotations.length === 0 && members.every(({ descriptor }) => descriptor.mediaType === DOCKER_MANIFEST)) {
    return composeIndex(members, { mediaType: DOCKER_MANIFEST_LIST });
  }
  return composeIndex(members, {
    mediaType: OCI_INDEX,
    annotations: onIndex.length === 0 ? undefined : Object.fromEntries(onIndex.map(({ key, value }) => [key, value])),
  });
}

/** The lines of an index are what it says of its members. */
const membersOf = (source: Artifact): readonly Artifact[] => {
  if (!isIndexArtifact(source)) return [source];
  const lines = artifactIndex(source).manifests;
  return source.manifests.map((member) => ({
    ...member,
    descriptor: lines.find(({ digest }) => digest === member.descriptor.digest) ?? member.descriptor,
  }));
};

/** Each manifest once: what is said of it later counts more. */
function mergeMembers(members: readonly Artifact[]): readonly Artifact[] {
  const merged = new Map<Digest, Artifact>();
  for (const member of members) {
    const before = merged.get(member.descriptor.digest)?.descriptor;
    const { digest, platform = before?.platform, annotations } = member.descriptor;
    const all = before === undefined ? annotations : joined(before.annotations, annotations);
    merged.set(digest, describeArtifact(member, { platform, annotations: all }));
  }
  return [...merged.values()];
}

const joined = (
  before: Readonly<Record<string, string>> | undefined,
  after: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined =>
  before === undefined && after === undefined ? undefined : { ...before, ...after };

function annotate(members: readonly Artifact[], annotations: readonly Annotation[]): readonly Artifact[] {
  const onLines = annotations.filter(({ target }) => target === 'manifest-descriptor');
  if (onLines.length === 0) return members;
  return members.map((member) => {
    const { platform, annotations: before } = member.descriptor;
    const own = platform === undefined ? undefined : formatPlatform(platform);
    const fitting = onLines.filter((each) => each.platform === undefined || normal(each.platform) === own);
    if (fitting.length === 0) return member;
    const added = Object.fromEntries(fitting.map(({ key, value }) => [key, value]));
    return describeArtifact(member, { platform, annotations: { ...before, ...added } });
  });
}

const normal = (platform: string): string => formatPlatform(parsePlatform(platform));
