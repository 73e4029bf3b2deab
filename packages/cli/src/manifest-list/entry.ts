import { artifactImage, formatReference, isImageError, isIndexArtifact } from '@tsc/image';
import type { Artifact, Descriptor, Platform, Reference, RegistryClient } from '@tsc/image';

import { failed } from '../errors.ts';

/** One line of a local manifest list: a manifest at a registry, and what the list says of it. */
export interface ListEntry {
  /** In full: `docker.io/library/app:1`, or with a digest. */
  readonly reference: string;
  /** With the platform that the list gives it. */
  readonly descriptor: Descriptor;
  /** The manifest itself. Files of old versions of Docker don't have it. */
  readonly bytes: Buffer | undefined;
}

/** What nobody has said: a list with such a line can't be pushed. */
const NO_PLATFORM: Platform = { architecture: '', os: '' };

/** The machine that an image is for, by its config; `undefined` when it is no image but something else. */
export async function readPlatformOf(
  artifact: Artifact,
  signal: AbortSignal | undefined,
): Promise<Platform | undefined> {
  try {
    const { config } = await artifactImage(artifact, { signal });
    const { architecture, os, variant } = config;
    const [version, features] = [config['os.version'], config['os.features']];
    return {
      architecture,
      os,
      ...(variant === undefined ? {} : { variant }),
      ...(version === undefined ? {} : { 'os.version': version }),
      ...(features === undefined ? {} : { 'os.features': features }),
    };
  } catch (error) {
    if (isImageError(error) && error.code === 'IMAGE_INVALID') return undefined;
    throw error;
  }
}

/** Gets a manifest from its registry. */
export async function fetchEntry(
  client: RegistryClient,
  reference: Reference,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ListEntry> {
  const name = formatReference(reference);
  const artifact = await fetchArtifact(client, reference, signal);
  if (isIndexArtifact(artifact)) throw failed(`${name} is a manifest list`);
  return entryOf(name, artifact, (await readPlatformOf(artifact, signal)) ?? NO_PLATFORM);
}

export const entryOf = (reference: string, { descriptor, bytes }: Artifact, platform: Platform): ListEntry => {
  const { mediaType, digest, size } = descriptor;
  return { reference, descriptor: { mediaType, digest, size, platform }, bytes };
};

/** What a reference names at its registry, with all that belongs to it. */
export const fetchArtifact = (
  client: RegistryClient,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<Artifact> =>
  client.repository(reference).artifact(reference.digest ?? reference.tag ?? 'latest', { signal });
