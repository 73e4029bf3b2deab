import { formatPlatform } from '@tsc/image';
import type { Descriptor, Digest, Platform, Repository } from '@tsc/image';

import type { Row } from '../format/listing.ts';
import { humanSize } from '../format/size.ts';

/** What is read of a manifest or an index, whichever it is. */
interface Document {
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
}

/** What a tag names, added up. */
export interface TagFacts {
  readonly tag: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of all blobs that it takes, each counted once, with the manifests themselves. */
  readonly sizeBytes: number;
  /** Of an index; builders' attestations, which are for `unknown/unknown`, are not among them. */
  readonly platforms: readonly Platform[];
}

/** Reads what a tag names, and the members when that is an index. */
export async function readTag(repository: Repository, tag: string, signal: AbortSignal): Promise<TagFacts> {
  const sizes = new Map<Digest, number>();
  const { descriptor, bytes } = await repository.manifest(tag, { signal });
  const document = count(sizes, descriptor, bytes);
  const members = document.manifests ?? [];
  for (const member of members) {
    const manifest = await repository.manifest(member.digest, { signal });
    count(sizes, member, manifest.bytes);
  }
  const platforms = members.flatMap(({ platform }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [platform],
  );
  const sizeBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { tag, digest: descriptor.digest, mediaType: descriptor.mediaType, sizeBytes, platforms };
}

function count(sizes: Map<Digest, number>, { digest }: Descriptor, bytes: Buffer): Document {
  const document = JSON.parse(bytes.toString()) as Document;
  sizes.set(digest, bytes.byteLength);
  const { config, layers = [] } = document;
  for (const blob of config === undefined ? layers : [config, ...layers]) sizes.set(blob.digest, blob.size);
  return document;
}

export const tagRow = (facts: TagFacts, { truncate }: { readonly truncate: boolean }): Row => ({
  Tag: facts.tag,
  Digest: truncate ? facts.digest.slice(0, facts.digest.indexOf(':') + 13) : facts.digest,
  MediaType: facts.mediaType,
  Size: humanSize(facts.sizeBytes),
  Platforms: facts.platforms.map(formatPlatform).join(', '),
});
