import { isDigest, OCI_MANIFEST, parseIndex } from '@tsc/image';
import type { Descriptor, Digest, Platform, Reference } from '@tsc/image';

import { failed } from '../errors.ts';

/** One thing to make an image of: a name, a digest, or a descriptor that changes what the image says of it. */
export interface Source {
  readonly word: string;
  readonly reference: Reference | undefined;
  readonly digest: Digest | undefined;
  /** What to say of it instead of what its own index or config says. */
  readonly patch: SourcePatch;
}

export interface SourcePatch {
  readonly size?: number | undefined;
  readonly platform?: Platform | undefined;
  readonly annotations?: Descriptor['annotations'];
}

/** Reads a source; `parse` reads names. */
export function parseSource(word: string, parse: (name: string) => Reference): Source {
  const text = word.trim();
  const nothing = { word, reference: undefined, digest: undefined, patch: {} };
  if (isDigest(text)) return { ...nothing, digest: text };
  if (!text.startsWith('{')) return { ...nothing, reference: readName(text, parse) };
  const { written, descriptor } = readDescriptor(text);
  const { digest, platform, annotations } = descriptor;
  const size = Object.hasOwn(written, 'size') ? descriptor.size : undefined;
  return { ...nothing, digest, patch: { size, platform, annotations } };
}

function readName(text: string, parse: (name: string) => Reference): Reference {
  try {
    return parse(text);
  } catch (error) {
    throw unusable(text, Error.isError(error) ? error.message : String(error), error);
  }
}

/** A descriptor is a line of an index, and is checked as one; only its digest has to be there. */
function readDescriptor(text: string): { readonly written: object; readonly descriptor: Descriptor } {
  try {
    const written = JSON.parse(text) as object;
    const line = { mediaType: OCI_MANIFEST, size: 0, ...written };
    const [descriptor] = parseIndex(
      Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [line] })),
      'source',
    ).manifests;
    if (descriptor === undefined) throw new TypeError('an index of one line has none');
    return { written, descriptor };
  } catch (error) {
    throw unusable(text, Error.isError(error) ? error.message : String(error), error);
  }
}

const unusable = (text: string, why: string, cause?: unknown): Error =>
  failed(
    `failed to parse source ${JSON.stringify(text)}, valid sources are digests, references and descriptors: ${why}`,
    cause,
  );

/**
 * Where each source is: those without a name are in the one repository that all others and the tags are in.
 *
 * @param tags - the names that the new image gets
 */
export function locateSources(sources: readonly Source[], tags: readonly Reference[]): readonly Reference[] {
  const named = [...tags, ...sources.flatMap(({ reference }) => (reference === undefined ? [] : [reference]))];
  const repositories = new Set(named.map(({ domain, path }) => `${domain}/${path}`));
  const [only] = named;
  return sources.map(({ word, reference, digest }) => {
    if (reference !== undefined) return reference;
    if (only === undefined) throw failed('no repositories specified, please set a reference in tag or source');
    if (repositories.size > 1) {
      throw failed(`multiple repositories specified, cannot infer repository for ${JSON.stringify(word)}`);
    }
    return { domain: only.domain, path: only.path, tag: undefined, digest };
  });
}
