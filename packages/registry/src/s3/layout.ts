import { randomBytes } from 'node:crypto';

import { RegistryError } from '../errors.ts';
import { isDigest, isName, isTag } from '../names.ts';
import type { Algorithm, Digest } from '../names.ts';

/** Says the version of this layout. */
export const VERSION_KEY = 'registry.json';
/** Written to read the server's clock from it. */
export const CLOCK_KEY = 'clock';
export const CONTENTS = 'contents/';
export const BLOBS = 'blobs/';
export const LINKS = 'links/';
export const UPLOADS = 'uploads/';
export const MANIFESTS = 'manifests/';
export const CONDEMNED = 'condemned/';
/** Ends a repository's name in a key. No name has it, and it sorts before all that a name has, so keys sort as names do. */
export const END = '!';
/** Sorts behind all that follows {@link END}. */
const LAST = '~';

/** Callers have checked what clients sent. This is the last line: no key is ever made of anything else. */
function must(valid: boolean, what: string): void {
  if (!valid) throw new TypeError(`not a valid ${what}`);
}

function repository(name: string): string {
  must(isName(name), 'name');
  return `${name}${END}`;
}

function digestPath(digest: Digest): string {
  must(isDigest(digest), 'digest');
  return digest.replace(':', '/');
}

const freshId = (): string => randomBytes(9).toString('base64url');

export interface BlobKey {
  readonly name: string;
  readonly digest: Digest;
}

/** Bytes in the bucket: `<upload>.<piece>`. They are never changed; blobs refer to them. */
export interface Content {
  readonly id: string;
  readonly sizeBytes: number;
}

export const freshContent = (upload: string): string => `${upload}.${freshId()}`;
export const contentKey = (id: string): string => `${CONTENTS}${id}`;
export const condemnedKey = (id: string): string => `${CONDEMNED}${id}`;
/** The upload that a content came by. */
export const uploadOfContent = (id: string): string => id.slice(0, Math.max(0, id.indexOf('.')));

/** What refers to a content: an object without bytes whose key says everything, made once and never again. */
export interface Reference {
  readonly content: Content;
  /** `<size>.<upload>.<piece>.<random>` */
  readonly id: string;
}

export const freshReference = (content: Content): Reference => ({
  content,
  id: `${String(content.sizeBytes)}.${content.id}.${freshId()}`,
});

export function parseReference(id: string): Reference | undefined {
  const [size = '', upload = '', piece = '', random] = id.split('.');
  if (random === undefined || !/^\d+$/.test(size)) return undefined;
  return { id, content: { id: `${upload}.${piece}`, sizeBytes: Number(size) } };
}

export const blobPrefix = (digest: Digest): string => `${BLOBS}${digestPath(digest)}/`;
export const blobOfRepositoryPrefix = ({ name, digest }: BlobKey): string => `${blobPrefix(digest)}${repository(name)}`;
export const referenceKey = (blob: BlobKey, id: string): string => `${blobOfRepositoryPrefix(blob)}r.${id}`;
export const sweptKey = (blob: BlobKey, id: string): string => `${blobOfRepositoryPrefix(blob)}s.${id}`;
export const askedKey = (blob: BlobKey): string => `${blobOfRepositoryPrefix(blob)}asked`;

/** What stands behind the repository's name in a key below {@link BLOBS}. */
export interface BlobEntry {
  readonly type: 'reference' | 'swept' | 'asked';
  readonly blob: BlobKey;
  readonly reference: Reference | undefined;
}

export function parseBlobEntry(key: string): BlobEntry | undefined {
  const [, algorithm = '', hex = '', ...rest] = key.split('/');
  const [name = '', entry = ''] = rest.join('/').split(END);
  const digest = `${algorithm}:${hex}`;
  if (!isDigest(digest)) return undefined;
  const blob = { name, digest };
  if (entry === 'asked') return { type: 'asked', blob, reference: undefined };
  const reference = parseReference(entry.slice(2));
  if (reference === undefined || !/^[rs]\./.test(entry)) return undefined;
  return { type: entry.startsWith('r') ? 'reference' : 'swept', blob, reference };
}

export const linksPrefix = (name: string): string => `${LINKS}${repository(name)}`;
export const linkKey = ({ name, digest }: BlobKey, id: string): string =>
  `${linksPrefix(name)}${digestPath(digest)}/${id}`;

export interface Link {
  readonly digest: Digest;
  readonly reference: Reference;
}

export function parseLink(key: string): Link | undefined {
  const [algorithm = '', hex = '', id = ''] = key.slice(key.indexOf(END) + 1).split('/');
  const digest = `${algorithm}:${hex}`;
  const reference = parseReference(id);
  return isDigest(digest) && reference !== undefined ? { digest, reference } : undefined;
}

export const repositoryKey = (name: string): string => `repositories/${repository(name)}`;
export const manifestsPrefix = (name: string): string => `${MANIFESTS}${repository(name)}`;
export const manifestKey = ({ name, digest }: BlobKey): string => `${manifestsPrefix(name)}${digestPath(digest)}`;
export const tagsPrefix = (name: string): string => `tags/${repository(name)}`;
export function tagKey(name: string, tag: string): string {
  must(isTag(tag), 'tag');
  return `${tagsPrefix(name)}${tag}`;
}
/** Which tags a manifest was pushed by: a hint, so that a deletion needn't read every tag. */
export const taggedPrefix = (name: string): string => `tagged/${repository(name)}`;
export const taggedOfManifestPrefix = ({ name, digest }: BlobKey): string =>
  `${taggedPrefix(name)}${digestPath(digest)}/`;
export function taggedKey(manifest: BlobKey, tag: string): string {
  must(isTag(tag), 'tag');
  return `${taggedOfManifestPrefix(manifest)}${tag}`;
}
/** Held while an immutable tag is being made. */
export function reservationKey(name: string, tag: string): string {
  must(isTag(tag), 'tag');
  return `reservations/${repository(name)}${tag}`;
}
/** What was found corrupt, in the place of the manifest that a repository misses. */
export const damagedPrefix = (name: string): string => `damaged/${repository(name)}`;
export const damagedKey = ({ name, digest }: BlobKey): string => `${damagedPrefix(name)}${digestPath(digest)}`;
export const referrersPrefix = (name: string, subject: Digest): string =>
  `referrers/${repository(name)}${digestPath(subject)}/`;
export const referrerKey = (name: string, subject: Digest, digest: Digest): string =>
  `${referrersPrefix(name, subject)}${digestPath(digest).replace('/', '-')}`;

/** Where the repositories behind `name` begin, in a list of what has repositories' names. */
export const behindRepository = (prefix: string, name: string): string => `${prefix}${name}${END}${LAST}`;

/** The digest that ends a key: `…/sha256/<hex>` or `…/sha256-<hex>`. */
export function digestAtEnd(key: string): Digest | undefined {
  const digest = /(sha256|sha512)[/-]([0-9a-f]+)$/.exec(key)?.slice(1).join(':') ?? '';
  return isDigest(digest) ? digest : undefined;
}

export const freshUpload = (algorithm: Algorithm, random: string): string => `${algorithm}-${random}`;
export function uploadPrefix(id: string): string {
  // Clients may ask for what another kind of storage calls its uploads.
  if (!/^[a-z0-9-]{1,64}$/.test(id)) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'no such upload');
  return `${UPLOADS}${id}/`;
}
const SEQUENCE_DIGITS = 10;
export const uploadRecordKey = (id: string, sequence: number): string =>
  `${uploadPrefix(id)}${String(sequence).padStart(SEQUENCE_DIGITS, '0')}`;
export const sequenceOfRecord = (key: string): number => Number(key.slice(-SEQUENCE_DIGITS));
