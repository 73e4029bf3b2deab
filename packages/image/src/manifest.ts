import { readDescriptor, type Descriptor } from './descriptor.ts';
import {
  asList,
  asRecord,
  asSchemaVersion,
  asString,
  compact,
  member,
  optional,
  parseDocument,
  requiredMember,
  type Node,
} from './document.ts';
import { ImageError } from './errors.ts';

/**
 * Ties a config to its layers, the lowest first.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md
 */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/**
 * Lists manifests: one for each platform, or all images of a layout directory.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/image-index.md
 */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** What is manifest and index at once would be one image to us and another to somebody else (CVE-2021-41190). */
const refuseMember = (node: Node, name: string): void => {
  if (member(node, name) === undefined) return;
  throw new ImageError('DOCUMENT_INVALID', `invalid ${node.where}: it has ${name}, which belongs to another document`, {
    path: node.where,
  });
};

/** @throws {@link ImageError} `DOCUMENT_INVALID` */
export const parseManifest = (bytes: Uint8Array, where: string = 'manifest'): Manifest => {
  const node = parseDocument(bytes, where);
  refuseMember(node, 'manifests');
  return compact({
    schemaVersion: asSchemaVersion(requiredMember(node, 'schemaVersion')),
    mediaType: optional(node, 'mediaType', asString),
    artifactType: optional(node, 'artifactType', asString),
    config: readDescriptor(requiredMember(node, 'config')),
    layers: asList(requiredMember(node, 'layers'), readDescriptor),
    subject: optional(node, 'subject', readDescriptor),
    annotations: optional(node, 'annotations', (map) => asRecord(map, asString)),
  });
};

/** @throws {@link ImageError} `DOCUMENT_INVALID` */
export const parseIndex = (bytes: Uint8Array, where: string = 'index', maxBytes?: number): Index => {
  const node = parseDocument(bytes, where, maxBytes);
  for (const name of ['config', 'layers', 'fsLayers']) refuseMember(node, name);
  return compact({
    schemaVersion: asSchemaVersion(requiredMember(node, 'schemaVersion')),
    mediaType: optional(node, 'mediaType', asString),
    artifactType: optional(node, 'artifactType', asString),
    manifests: asList(requiredMember(node, 'manifests'), readDescriptor),
    subject: optional(node, 'subject', readDescriptor),
    annotations: optional(node, 'annotations', (map) => asRecord(map, asString)),
  });
};
