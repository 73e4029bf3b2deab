import { isDigest, isName, isTag } from '../names.ts';
import type { Digest, ManifestReference } from '../names.ts';

export const HOME = '/ui/';
export const SIGN_IN = '/ui/sign-in';

/** What a page is about. */
export type Place =
  | { readonly type: 'repositories' }
  | { readonly type: 'sign-in' }
  | { readonly type: 'repository'; readonly name: string }
  | { readonly type: 'image'; readonly name: string; readonly reference: ManifestReference };

// Names, tags and digests are made of characters that a path may have as they are.
export const repositoryPath = (name: string): string => `/ui/repositories/${name}`;
export const tagPath = (name: string, tag: string): string => `/ui/images/${name}:${tag}`;
export const digestPath = (name: string, digest: Digest): string => `/ui/images/${name}@${digest}`;

/** Undefined: there is no such page. */
export function parsePlace(path: string): Place | undefined {
  if (path === HOME) return { type: 'repositories' };
  if (path === SIGN_IN) return { type: 'sign-in' };
  const [, kind, rest = ''] = /^\/ui\/(repositories|images)\/(.+)$/.exec(path) ?? [];
  if (kind === 'repositories') return isName(rest) ? { type: 'repository', name: rest } : undefined;
  if (kind !== 'images') return undefined;
  const mark = rest.search(/[:@]/);
  const name = rest.slice(0, Math.max(mark, 0));
  const text = rest.slice(mark + 1);
  if (!isName(name)) return undefined;
  if (rest[mark] === ':')
    return isTag(text) ? { type: 'image', name, reference: { type: 'tag', tag: text } } : undefined;
  return isDigest(text) ? { type: 'image', name, reference: { type: 'digest', digest: text } } : undefined;
}
