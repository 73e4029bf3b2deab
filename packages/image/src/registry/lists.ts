import { asList, asString, member, parseDocument, type Node } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import type { Need } from './authorizer.ts';
import { PAGE_MAX_BYTES, pages } from './pages.ts';
import type { ListOptions } from './repository.ts';
import type { Server } from './server.ts';
import { needOf, targetAt, type Place } from './site.ts';

const TAG = /^\w[\w.-]{0,127}$/;
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+|\/)[a-z0-9]+)*$/;

const asMatching =
  (expression: RegExp) =>
  (node: Node): string => {
    const text = asString(node);
    if (text.length <= 255 && expression.test(text)) return text;
    throw new ImageError('DOCUMENT_INVALID', `invalid ${node.where}: ${quote(text)}`, { path: node.where });
  };

interface List extends ListOptions {
  readonly target: string;
  readonly need: Need;
  readonly what: string;
  /** The member that has the names, and what they look like. */
  readonly key: string;
  readonly pattern: RegExp;
}

async function* names(server: Server, list: List): AsyncGenerator<string, void, void> {
  for await (const { bytes } of pages(server, list)) {
    const node = parseDocument(bytes, 'list', PAGE_MAX_BYTES);
    // Go writes null for a repository without tags.
    const found = member(node, list.key);
    if (found !== undefined) yield* asList(found, asMatching(list.pattern));
  }
}

const pageQuery = ({ pageSize }: ListOptions): Record<string, string> =>
  pageSize === undefined ? {} : { n: String(pageSize) };

export const listTags = (place: Place, options: ListOptions): AsyncIterable<string> => {
  const { origin, domain, path } = place;
  const what = `cannot list the tags of ${domain}/${path}`;
  const target = targetAt(origin, 'tags/list', pageQuery(options));
  return names(origin.server, { ...options, target, need: needOf(origin, 'pull'), what, key: 'tags', pattern: TAG });
};

export const listRepositories = (server: Server, options: ListOptions): AsyncIterable<string> => {
  const query = new URLSearchParams(pageQuery(options));
  return names(server, {
    ...options,
    target: `/v2/_catalog${query.size === 0 ? '' : `?${query.toString()}`}`,
    need: { repository: '', scopes: ['registry:catalog:*'] },
    what: `cannot list the repositories of ${server.domain}`,
    key: 'repositories',
    pattern: NAME,
  });
};
