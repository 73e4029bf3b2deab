import { INDEX_TYPE } from '../manifest-document.ts';
import type { Digest } from '../names.ts';
import { compareBytes, formatNextLink } from '../pagination.ts';
import type { PageRequest } from '../pagination.ts';
import type { Referrer } from '../storage.ts';
import { sendJson } from './answer.ts';
import type { Headers } from './answer.ts';
import type { Exchange } from './context.ts';

/** A page of referrers is a manifest itself, and has room beside its list. */
const REFERRERS_BYTES = 4 * 1024 * 1024 - 4096;

const bounded = ({ limits }: Exchange, { limit, after }: PageRequest): PageRequest => ({
  limit: Math.min(limit ?? limits.pageMaxEntries, limits.pageMaxEntries),
  after,
});

const nextHeader = (path: string, next: string | undefined, { limit }: PageRequest): Headers =>
  next === undefined ? {} : { Link: formatNextLink(path, next, limit) };

/** end-8a, end-8b */
export async function listTags(exchange: Exchange, name: string, page: PageRequest): Promise<void> {
  const { storage, signal } = exchange;
  const { entries, next } = await storage.listTags(name, bounded(exchange, page), { signal });
  sendJson(exchange, { name, tags: entries }, nextHeader(`/v2/${name}/tags/list`, next, page));
}

/** A page can be shorter than was asked for, even empty, where the client may not know of all; its `Link` leads on. */
export async function listRepositories(exchange: Exchange, page: PageRequest): Promise<void> {
  const { storage, identity, signal } = exchange;
  const { entries, next } = await storage.listRepositories(bounded(exchange, page), { signal });
  const repositories = entries.filter((name) => identity.mayPull(name));
  sendJson(exchange, { repositories }, nextHeader('/v2/_catalog', next, page));
}

export interface ReferrersQuery {
  readonly name: string;
  readonly digest: Digest;
  readonly artifactType: string | undefined;
  readonly after: string | undefined;
}

const descriptorOf = ({ mediaType, digest, sizeBytes, artifactType, annotations }: Referrer): object => ({
  mediaType,
  digest,
  size: sizeBytes,
  ...(artifactType === undefined ? {} : { artifactType }),
  ...(annotations.size === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
});

/** end-12a, end-12b */
export async function listReferrers(exchange: Exchange, query: ReferrersQuery): Promise<void> {
  const { name, digest, artifactType, after } = query;
  const all = await exchange.storage.listReferrers(name, digest, { signal: exchange.signal });
  const wanted = all.filter(
    (referrer) =>
      (artifactType === undefined || referrer.artifactType === artifactType) &&
      (after === undefined || compareBytes(referrer.digest, after) > 0),
  );
  const page = firstThatFit(wanted);
  const next = page.length < wanted.length ? wanted[page.length - 1]?.digest : undefined;
  const filter = artifactType === undefined ? '' : `artifactType=${encodeURIComponent(artifactType)}&`;
  sendJson(
    exchange,
    { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: page },
    {
      'Content-Type': INDEX_TYPE,
      ...(artifactType === undefined ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
      ...(next === undefined ? {} : { Link: `</v2/${name}/referrers/${digest}?${filter}last=${next}>; rel="next"` }),
    },
  );
}

/** At least one, so that the pages come to an end. */
function firstThatFit(referrers: readonly Referrer[]): readonly object[] {
  const page: object[] = [];
  let bytes = 0;
  for (const referrer of referrers) {
    const descriptor = descriptorOf(referrer);
    bytes += Buffer.byteLength(JSON.stringify(descriptor)) + 1;
    if (page.length > 0 && bytes > REFERRERS_BYTES) break;
    page.push(descriptor);
  }
  return page;
}
