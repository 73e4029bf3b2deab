import { RegistryError } from './errors.ts';

/** A repository with its host is at most 255 characters for most clients; the name alone may be no longer. */
const NAME_MAX = 255;
const TAG_MAX = 128;

/** The digests that we store, and their length in hexadecimal digits. */
const ALGORITHMS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha512', 128],
]);

export type Algorithm = 'sha256' | 'sha512';
/** An algorithm and lower-case hexadecimal digits: `sha256:…`. */
export type Digest = `${Algorithm}:${string}`;

const within = (char: string, low: string, high: string): boolean => char >= low && char <= high;
const isAlphanumeric = (char: string): boolean => within(char, 'a', 'z') || within(char, '0', '9');
const isTagCharacter = (char: string): boolean => isAlphanumeric(char) || within(char, 'A', 'Z') || char === '_';

/** Whether a text is a repository's name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*`. */
export function isName(text: string): boolean {
  return text.length > 0 && text.length <= NAME_MAX && text.split('/').every((component) => isComponent(component));
}

/** Walks once: a separator is `.`, `_`, `__` or dashes, and stands between alphanumerics. */
function isComponent(text: string): boolean {
  if (!isAlphanumeric(text[0] ?? '') || !isAlphanumeric(text.at(-1) ?? '')) return false;
  let separator = '';
  for (const char of text) {
    if (!isAlphanumeric(char)) {
      separator += char;
      if (separator !== '.' && separator !== '_' && separator !== '__' && separator !== '-'.repeat(separator.length)) {
        return false;
      }
    } else separator = '';
  }
  return true;
}

/** Whether a text is a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. */
export const isTag = (text: string): boolean =>
  text.length <= TAG_MAX &&
  isTagCharacter(text[0] ?? '') &&
  Array.from(text).every((char) => isTagCharacter(char) || char === '.' || char === '-');

const isHex = (text: string): boolean =>
  Array.from(text).every((char) => within(char, '0', '9') || within(char, 'a', 'f'));

/** Whether a text is a digest of an algorithm that this registry can verify. */
export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(':');
  const length = ALGORITHMS.get(text.slice(0, Math.max(colon, 0)));
  return length !== undefined && text.length === colon + 1 + length && isHex(text.slice(colon + 1));
}

/** Whether a text looks like a digest, of whatever algorithm, and so can't have been meant as a tag. */
export const looksLikeDigest = (text: string): boolean => text.includes(':');

export const isAlgorithm = (text: string): text is Algorithm => ALGORITHMS.has(text);

const shown = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

/** @throws {@link RegistryError} `NAME_INVALID` */
export function parseName(text: string): string {
  if (isName(text)) return text;
  throw new RegistryError('NAME_INVALID', `invalid repository name ${shown(text)}`, {
    detail: { name: text.slice(0, 100) },
  });
}

/** @throws {@link RegistryError} `DIGEST_INVALID`: malformed, or of an algorithm that we don't verify */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryError('DIGEST_INVALID', `invalid digest ${shown(text)}: want sha256 or sha512 in lower-case hex`);
}

/** Where a manifest is found. */
export type ManifestReference =
  { readonly type: 'tag'; readonly tag: string } | { readonly type: 'digest'; readonly digest: Digest };

/** @throws {@link RegistryError} `DIGEST_INVALID`, or `MANIFEST_INVALID` for what is neither tag nor digest */
export function parseManifestReference(text: string): ManifestReference {
  if (looksLikeDigest(text)) return { type: 'digest', digest: parseDigest(text) };
  if (isTag(text)) return { type: 'tag', tag: text };
  throw new RegistryError('MANIFEST_INVALID', `invalid tag ${shown(text)}`);
}
