import { open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

import { RegistryError } from '../errors.ts';
import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';
import { putBack } from './aside.ts';
import { linkFresh, readIfThere, syncDir, temporaryFile, unlessMissing } from './durable.ts';
import { tagFile } from './layout.ts';

export interface TagKey {
  readonly name: string;
  readonly tag: string;
}

/** Who makes a tag that others delete at the same time tries again; this often at most. */
const ATTEMPTS = 10;

export const tagDenied = ({ name, tag }: TagKey): RegistryError =>
  new RegistryError('DENIED', `the tag ${tag} is immutable, and names another manifest`, { detail: { name, tag } });

const parseTag = (text: string | undefined): Digest | undefined =>
  text !== undefined && isDigest(text) ? text : undefined;

/** What a tag names; undefined for none, and for one whose file is damaged. */
export const readTag = async (rootDir: string, { name, tag }: TagKey): Promise<Digest | undefined> =>
  parseTag((await readIfThere(tagFile(rootDir, name, tag)))?.toString('latin1'));

/**
 * Makes a tag that is never moved: of several at once, one makes it, by the second name of a file.
 *
 * @throws {@link RegistryError} `DENIED`: it is there, and names another manifest
 */
export async function makeTag(rootDir: string, key: TagKey, digest: Digest): Promise<void> {
  const path = tagFile(rootDir, key.name, key.tag);
  const beside = temporaryFile(rootDir);
  try {
    {
      await using handle = await open(beside, 'wx');
      await handle.writeFile(digest);
      await handle.sync();
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const made = await linkFresh(beside, path);
      const found = made ? digest : await unlessMissing(readFile(path, 'utf8'));
      if (found === undefined) continue;
      if (found !== digest) throw tagDenied(key);
      // Also when somebody else made it: what we acknowledge must stay.
      await syncDir(dirname(path));
      return;
    }
    throw tagDenied(key);
  } finally {
    await unlessMissing(unlink(beside));
  }
}

/**
 * Removes a tag that names what is unwanted. It is taken away and looked at once more, so that one that somebody moved in the
 * same moment comes back. The caller syncs the directory.
 *
 * @returns whether it is gone by us
 */
export async function removeTagIf(
  rootDir: string,
  { name, tag }: TagKey,
  unwanted: (digest: Digest | undefined) => boolean | Promise<boolean>,
): Promise<boolean> {
  const path = tagFile(rootDir, name, tag);
  const seen = await unlessMissing(readFile(path, 'utf8'));
  if (seen === undefined || !(await unwanted(parseTag(seen)))) return false;
  const aside = temporaryFile(rootDir);
  if ((await unlessMissing(rename(path, aside).then(() => true))) === undefined) return false;
  const removed = await unwanted(parseTag(await readFile(aside, 'utf8')));
  if (removed) await unlessMissing(unlink(aside));
  else await putBack(aside, path);
  return removed;
}
