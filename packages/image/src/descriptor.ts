import type { Digest } from './digest.ts';
import {
  asDigest,
  asList,
  asRecord,
  asSize,
  asString,
  compact,
  optional,
  requiredMember,
  type Node,
} from './document.ts';

/** The machine that an image is for, in Go's words: `{ os: 'linux', architecture: 'arm64', variant: 'v8' }`. */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

/**
 * Points at content: what it is, how many bytes, and their hash.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md
 */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the content. */
  readonly size: number;
  readonly urls?: readonly string[] | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly artifactType?: string | undefined;
  readonly platform?: Platform | undefined;
  /** The content itself, in base64, where it is small; a copy that nobody needs to look at. */
  readonly data?: string | undefined;
}

export const readPlatform = (node: Node): Platform =>
  compact({
    architecture: asString(requiredMember(node, 'architecture')),
    os: asString(requiredMember(node, 'os')),
    variant: optional(node, 'variant', asString),
    'os.version': optional(node, 'os.version', asString),
    'os.features': optional(node, 'os.features', (features) => asList(features, asString)),
  });

export const readDescriptor = (node: Node): Descriptor =>
  compact({
    mediaType: asString(requiredMember(node, 'mediaType')),
    digest: asDigest(requiredMember(node, 'digest')),
    size: asSize(requiredMember(node, 'size')),
    urls: optional(node, 'urls', (urls) => asList(urls, asString)),
    annotations: optional(node, 'annotations', (map) => asRecord(map, asString)),
    artifactType: optional(node, 'artifactType', asString),
    platform: optional(node, 'platform', readPlatform),
    data: optional(node, 'data', asString),
  });

/** Go's name of a Node architecture: `x64` is `amd64`. */
export const goArchitecture = (arch: string): string => ({ x64: 'amd64', ia32: '386', ppc64: 'ppc64le' })[arch] ?? arch;
