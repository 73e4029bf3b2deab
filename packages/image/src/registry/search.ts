import {
  asBoolean,
  asInteger,
  asList,
  asString,
  optional,
  parseDocument,
  requiredMember,
  type Node,
} from '../document.ts';
import type { SearchResult } from './client.ts';
import { answerFailure } from './failure.ts';
import type { Server } from './server.ts';

const MAX_BYTES = 4 * 1024 ** 2;

const readResult = (node: Node): SearchResult => ({
  name: asString(requiredMember(node, 'name')),
  description: optional(node, 'description', asString) ?? '',
  stars: optional(node, 'star_count', asInteger) ?? 0,
  official: optional(node, 'is_official', asBoolean) ?? false,
});

export const searchRepositories = async (
  server: Server,
  term: string,
  { limit, signal }: { readonly limit: number; readonly signal?: AbortSignal | undefined },
): Promise<readonly SearchResult[]> => {
  const query = new URLSearchParams({ q: term, n: String(limit) });
  const target = `/v1/search?${query.toString()}`;
  const need = { repository: '', scopes: [] };
  const { answer, bytes } = await server.fetch({ method: 'GET', target, need, signal }, MAX_BYTES);
  if (answer.status !== 200) throw await answerFailure(`cannot search at ${server.domain}`, answer, signal);
  const node = parseDocument(bytes, `search results of ${server.domain}`, MAX_BYTES);
  return asList(requiredMember(node, 'results'), readResult).slice(0, limit);
};
