import { RegistryError } from './errors.ts';
import { isDigest } from './names.ts';
import type { Digest } from './names.ts';

export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const MANIFEST_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);
const INDEX_TYPES: ReadonlySet<string> = new Set([
  INDEX_TYPE,
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1';
/** Layers that stay with who made them: their descriptors say where. */
const FOREIGN = [
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
];
/** Fields that decide what a document is. Some parsers take them in any case of letters, so any other case is refused. */
const FIELDS: ReadonlySet<string> = new Set([
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
  'fsLayers',
  'blobs',
]);
const FOLDED: ReadonlyMap<string, string> = new Map([...FIELDS].map((field) => [field.toLowerCase(), field]));

/** What a registry must know of a manifest. */
export interface ManifestDocument {
  readonly mediaType: string;
  /** Blobs that must be in the repository. */
  readonly blobs: readonly Digest[];
  /** Members of an index: manifests, or blobs, as build caches have them. */
  readonly members: readonly Digest[];
  readonly subject: Digest | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

type Fields = Readonly<Record<string, unknown>>;

const invalid = (why: string): RegistryError => new RegistryError('MANIFEST_INVALID', why);

/** Programs in Go write null for what they have nothing of. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads a manifest that somebody pushes.
 *
 * A document of a type that we know must be what it says and nothing else: two that read it can't take it for two things. Of
 * any other type, JSON is enough, and its `subject` and `annotations` are taken where they are.
 *
 * @param contentType - the header; its parameters don't matter
 * @throws {@link RegistryError} `MANIFEST_INVALID`
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md
 */
export function parseManifestDocument(bytes: Uint8Array, contentType: string | undefined): ManifestDocument {
  const document = parseJson(bytes);
  const mediaType = typeOf(document, contentType);
  const known = MANIFEST_TYPES.has(mediaType) || INDEX_TYPES.has(mediaType);
  if (known) checkShape(document, mediaType);
  return {
    mediaType,
    blobs: MANIFEST_TYPES.has(mediaType) ? blobsOf(document) : [],
    members: INDEX_TYPES.has(mediaType)
      ? [...new Set(descriptors(document['manifests'], 'manifests').map(({ digest }) => digest))]
      : [],
    subject: isAbsent(document['subject']) ? undefined : descriptor(document['subject'], 'subject').digest,
    artifactType: artifactTypeOf(document),
    annotations: annotationsOf(document['annotations']),
  };
}

function parseJson(bytes: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new RegistryError('MANIFEST_INVALID', 'the manifest is not JSON', { cause: error });
  }
  if (!isFields(value)) throw invalid('the manifest is not a JSON object');
  for (const key of Object.keys(value)) {
    const field = FOLDED.get(key.toLowerCase());
    if (field !== undefined && field !== key) throw invalid(`the manifest has ${JSON.stringify(key)} for "${field}"`);
  }
  return value;
}

function typeOf(document: Fields, contentType: string | undefined): string {
  const said = document['mediaType'];
  if (said !== undefined && typeof said !== 'string') throw invalid('mediaType is not a text');
  const header = contentType?.split(';')[0]?.trim().toLowerCase();
  if (said !== undefined && header !== undefined && header !== '' && said.toLowerCase() !== header) {
    throw invalid(
      `the manifest says ${JSON.stringify(said.slice(0, 200))}, its Content-Type ${JSON.stringify(header)}`,
    );
  }
  const mediaType = said ?? header ?? '';
  if (!/^[\w.+!#$&^-]+\/[\w.+!#$&^-]+$/.test(mediaType) || mediaType.length > 255) {
    throw invalid('the manifest needs a Content-Type');
  }
  if (mediaType.startsWith(SCHEMA_1)) throw invalid('manifests of schema 1 are not taken');
  return mediaType;
}

function checkShape(document: Fields, mediaType: string): void {
  if (document['schemaVersion'] !== 2) throw invalid('schemaVersion is not 2');
  const foreign = MANIFEST_TYPES.has(mediaType) ? ['manifests', 'fsLayers'] : ['layers', 'config', 'fsLayers'];
  const found = foreign.find((field) => document[field] !== undefined);
  if (found !== undefined) throw invalid(`"${found}" doesn't belong into ${mediaType}`);
}

interface DescriptorFields {
  readonly mediaType: string;
  readonly digest: Digest;
}

function descriptor(value: unknown, where: string): DescriptorFields {
  if (!isFields(value)) throw invalid(`${where} is not a descriptor`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(`${where} has no mediaType`);
  if (typeof digest !== 'string' || !isDigest(digest)) throw invalid(`${where} has no sha256 or sha512 digest`);
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw invalid(`${where} has no size`);
  return { mediaType, digest };
}

function descriptors(value: unknown, where: string): readonly DescriptorFields[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw invalid(`"${where}" is not a list`);
  return value.map((entry, at) => descriptor(entry, `${where}[${at}]`));
}

function blobsOf(document: Fields): readonly Digest[] {
  const layers = descriptors(document['layers'], 'layers').filter(
    ({ mediaType }) => !FOREIGN.some((type) => mediaType.startsWith(type)),
  );
  return [...new Set([descriptor(document['config'], 'config'), ...layers].map(({ digest }) => digest))];
}

function artifactTypeOf({ artifactType, config }: Fields): string | undefined {
  if (typeof artifactType === 'string' && artifactType !== '') return artifactType;
  const configType = isFields(config) ? config['mediaType'] : undefined;
  return typeof configType === 'string' && configType !== '' ? configType : undefined;
}

function annotationsOf(value: unknown): ReadonlyMap<string, string> {
  if (isAbsent(value)) return new Map();
  if (!isFields(value)) throw invalid('annotations are not an object');
  return new Map(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== 'string') throw invalid(`the annotation ${JSON.stringify(key)} is not a text`);
      return [key, text];
    }),
  );
}
