import { INDEX_TYPE } from '../manifest-document.ts';
import type { Digest } from '../names.ts';
import { compareBytes, formatNextLink } from '../pagination.ts';
import type { Page, PageRequest } from '../pagination.ts';
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

/** How many names are looked through at once for those that a client may know of. */
const CATALOG_BATCH = 1000;

/** What a client may not know of leaves no gap, and its name is never where a page goes on. */
export async function listRepositories(exchange: Exchange, page: PageRequest): Promise<void> {
  const { storage, identity, signal } = exchange;
  const wanted = bounded(exchange, page);
  const { entries, next } = identity.mayPullAll
    ? await storage.listRepositories(wanted, { signal })
    : await visibleRepositories(exchange, wanted);
  sendJson(exchange, { repositories: entries }, nextHeader('/v2/_catalog', next, page));
}

/** One name more than fits is looked for, so that there is a next page only where there is something on it. */
async function visibleRepositories({ storage, identity, signal }: Exchange, page: PageRequest): Promise<Page<string>> {
  const limit = page.limit ?? Infinity;
  const visible: string[] = [];
  let { after } = page;
  while (limit > 0) {
    const batch = await storage.listRepositories({ limit: CATALOG_BATCH, after }, { signal });
    visible.push(...batch.entries.filter((name) => identity.mayPull(name)));
    if (visible.length > limit) return { entries: visible.slice(0, limit), next: visible[limit - 1] };
    if (batch.next === undefined) break;
    after = batch.next;
  }
  return { entries: visible, next: undefined };
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
