import { isRegistryError, RegistryError } from '../errors.ts';
import type { Digest, ManifestReference } from '../names.ts';
import type { RegistryStorage, StorageCall } from '../storage.ts';
import type { RepositoryPolicy } from './policy.ts';

const denied = (name: string, tag: string): RegistryError =>
  new RegistryError('DENIED', `the tag ${tag} is immutable`, { detail: { name, tag } });

export interface DeletionTarget {
  readonly name: string;
  readonly reference: ManifestReference;
}

/**
 * Refuses to delete an immutable tag, and a manifest that one names. A deletion that goes on while such a tag is made may
 * still take the manifest.
 *
 * @throws {@link RegistryError} `DENIED`; `MANIFEST_UNKNOWN` for a tag that isn't there
 */
export async function checkDeletable(
  storage: RegistryStorage,
  policy: RepositoryPolicy,
  { name, reference, signal }: DeletionTarget & StorageCall,
): Promise<void> {
  if (reference.type === 'tag') {
    if (!policy.isImmutable(name, reference.tag)) return;
    await storage.resolveTag(name, reference.tag, { signal });
    throw denied(name, reference.tag);
  }
  for (const tag of await tagsOf(storage, name, signal)) {
    if (!policy.isImmutable(name, tag)) continue;
    if ((await resolve(storage, { name, tag, signal })) === reference.digest) throw denied(name, tag);
  }
}

async function tagsOf(
  storage: RegistryStorage,
  name: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  try {
    return (await storage.listTags(name, { limit: undefined, after: undefined }, { signal })).entries;
  } catch (error) {
    if (isRegistryError(error) && error.code === 'NAME_UNKNOWN') return [];
    throw error;
  }
}

/** What a tag names; undefined for one that was deleted meanwhile. */
async function resolve(
  storage: RegistryStorage,
  { name, tag, signal }: { readonly name: string; readonly tag: string } & StorageCall,
): Promise<Digest | undefined> {
  try {
    return await storage.resolveTag(name, tag, { signal });
  } catch (error) {
    if (isRegistryError(error) && error.code === 'MANIFEST_UNKNOWN') return undefined;
    throw error;
  }
}
