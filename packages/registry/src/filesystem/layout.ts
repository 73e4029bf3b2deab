import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { RegistryError } from '../errors.ts';
import { isDigest, isName, isTag } from '../names.ts';
import type { Digest } from '../names.ts';
import type { Upload } from '../storage.ts';

/** What was made but is not yet in its place; nobody reads here. */
export const temporaryDir = (rootDir: string): string => join(rootDir, 'temporary');
export const uploadsDir = (rootDir: string): string => join(rootDir, 'uploads');
export const blobsDir = (rootDir: string): string => join(rootDir, 'blobs');
export const repositoriesDir = (rootDir: string): string => join(rootDir, 'repositories');

/** Callers have checked what clients sent. This is the last line: no path is ever made of anything else. */
function must(valid: boolean, what: string): void {
  if (!valid) throw new TypeError(`not a valid ${what}`);
}

export function splitDigest(digest: Digest): readonly [algorithm: string, hex: string] {
  must(isDigest(digest), 'digest');
  const colon = digest.indexOf(':');
  return [digest.slice(0, colon), digest.slice(colon + 1)];
}

/** The one file of a content, whichever repositories have it. */
export function contentFile(rootDir: string, digest: Digest): string {
  const [algorithm, hex] = splitDigest(digest);
  return join(blobsDir(rootDir), algorithm, hex.slice(0, 2), hex);
}

/** Where scrub puts contents that aren't what their name says. */
export const corruptDir = (rootDir: string): string => join(rootDir, 'corrupt');

/** One digest may have several. */
export const corruptFile = (rootDir: string, digest: Digest, token: string): string =>
  join(corruptDir(rootDir), `${splitDigest(digest).join('-')}.${token}`);

/** A component of a name begins with a letter or digit, so what begins with `_` is ours. */
export function repositoryDir(rootDir: string, name: string): string {
  must(isName(name), 'name');
  return join(repositoriesDir(rootDir), name);
}

export const linksDir = (rootDir: string, name: string): string => join(repositoryDir(rootDir, name), '_blobs');
export const sweptDir = (rootDir: string, name: string): string => join(repositoryDir(rootDir, name), '_swept');
export const manifestsDir = (rootDir: string, name: string): string => join(repositoryDir(rootDir, name), '_manifests');
export const tagsDir = (rootDir: string, name: string): string => join(repositoryDir(rootDir, name), '_tags');

/** A repository's hard link to the content of a blob that it has. */
export const linkFile = (rootDir: string, name: string, digest: Digest): string =>
  join(linksDir(rootDir, name), ...splitDigest(digest));

/** Where garbage collection puts a link for as long as it looks whether somebody came to need it. */
export const sweptFile = (rootDir: string, name: string, digest: Digest): string =>
  join(sweptDir(rootDir, name), splitDigest(digest).join('-'));

/** What a repository would have, if it weren't damaged. */
const damagedDir = (rootDir: string, name: string): string => join(repositoryDir(rootDir, name), '_damaged');

export const damagedBlobsDir = (rootDir: string, name: string): string => join(damagedDir(rootDir, name), 'blobs');
export const damagedManifestsDir = (rootDir: string, name: string): string =>
  join(damagedDir(rootDir, name), 'manifests');

/** An empty file: the repository had this blob. */
export const damagedBlob = (rootDir: string, name: string, digest: Digest): string =>
  join(damagedBlobsDir(rootDir, name), splitDigest(digest).join('-'));

/** A manifest's file as it was found. */
export const damagedManifest = (rootDir: string, name: string, digest: Digest): string =>
  join(damagedManifestsDir(rootDir, name), splitDigest(digest).join('-'));

export const manifestFile = (rootDir: string, name: string, digest: Digest): string =>
  join(manifestsDir(rootDir, name), ...splitDigest(digest));

export function tagFile(rootDir: string, name: string, tag: string): string {
  must(isTag(tag), 'tag');
  return join(tagsDir(rootDir, name), tag);
}

export const allReferrersDir = (rootDir: string, name: string): string =>
  join(repositoryDir(rootDir, name), '_referrers');
export const referrersDir = (rootDir: string, name: string, subject: Digest): string =>
  join(allReferrersDir(rootDir, name), ...splitDigest(subject));

export const referrerFile = (rootDir: string, name: string, { subject, digest }: ReferrerKey): string =>
  join(referrersDir(rootDir, name, subject), splitDigest(digest).join('-'));

export interface ReferrerKey {
  readonly subject: Digest;
  readonly digest: Digest;
}

/** Undoes `<algorithm>-<hex>`, the name of a file. */
export function digestOfFileName(fileName: string): Digest | undefined {
  const digest = fileName.replace('-', ':');
  return isDigest(digest) ? digest : undefined;
}

/** The name is in the directory's, so that an id means nothing in another repository. */
export function uploadDir(rootDir: string, { name, id }: Upload): string {
  // Clients may ask for what another kind of storage calls its uploads.
  if (!/^[a-z0-9-]{1,64}$/.test(id)) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'no such upload');
  const owner = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return join(uploadsDir(rootDir), `${id}.${owner}`);
}
