import type { Identity } from '../access/access.ts';
import { compareBytes } from '../pagination.ts';
import type { Page } from '../pagination.ts';
import type { RegistryStorage } from '../storage.ts';
import { eachOf, NAMES_MAX, unlessUnknown } from './catalogue.ts';
import type { Catalogue } from './catalogue.ts';
import { plural } from './format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import type { PageContent } from './layout.ts';
import { HOME, repositoryPath } from './place.ts';
import { searchForm } from './search-form.ts';

const ROWS = 50;
/** Storage begins each page of a list anew, so they grow. */
const LIST_FIRST = 100;
const LIST_FASTER = 10;
const TAGS_SHOWN = 99;

interface Found {
  readonly names: readonly string[];
  /** Where to go on; undefined: that was all. */
  readonly next: string | undefined;
}

export interface RepositoriesQuery {
  readonly storage: RegistryStorage;
  readonly catalogue: Catalogue;
  readonly identity: Identity;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
}

async function find(asked: RepositoriesQuery): Promise<Found> {
  const { identity, query } = asked;
  const wanted = (query.get('q') ?? '').trim().toLowerCase();
  const names: string[] = [];
  let after = query.get('after') ?? undefined;
  for (let scanned = 0, limit = LIST_FIRST; scanned < NAMES_MAX; limit = Math.min(limit * LIST_FASTER, NAMES_MAX)) {
    const { entries, next } = await (wanted === '' ? list(asked, limit, after) : listMany(asked, after));
    for (const name of entries) {
      if (!name.includes(wanted) || !identity.mayPull(name)) continue;
      if (names.length === ROWS) return { names, next: names.at(-1) };
      names.push(name);
    }
    if (next === undefined) return { names, next: undefined };
    after = next;
    scanned += entries.length;
  }
  return { names, next: after };
}

const list = ({ storage, signal }: RepositoriesQuery, limit: number, after?: string): Promise<Page<string>> =>
  storage.listRepositories({ limit, after }, { signal });

/** What a search goes on through: what an earlier one has read, as far as that goes. */
async function listMany(asked: RepositoriesQuery, after?: string): Promise<Page<string>> {
  const { entries, next } = await asked.catalogue.names();
  if (after === undefined) return { entries, next };
  if (next !== undefined && compareBytes(after, next) >= 0) return list(asked, NAMES_MAX, after);
  return { entries: entries.filter((name) => compareBytes(name, after) > 0), next };
}

async function row({ storage, signal }: RepositoriesQuery, name: string): Promise<Html> {
  const page = await unlessUnknown(storage.listTags(name, { limit: TAGS_SHOWN + 1, after: undefined }, { signal }));
  const count = page?.entries.length ?? 0;
  const tags = count > TAGS_SHOWN ? `${String(TAGS_SHOWN)}+ tags` : count === 0 ? 'no tags' : plural(count, 'tag');
  return html`<tr data-name="${name}">
    <th scope="row"><a href="${repositoryPath(name)}">${name}</a></th>
    <td class="num">${tags}</td>
  </tr>`;
}

/** The list of repositories that one may pull from. */
export async function repositoriesPage(asked: RepositoriesQuery): Promise<PageContent> {
  const { query } = asked;
  const q = query.get('q') ?? '';
  const { names, next } = await find(asked);
  const rows = await eachOf(names, (name) => row(asked, name));
  const more = new URLSearchParams({ ...(q === '' ? {} : { q }), after: next ?? '' });
  const table = html`<div class="card">
    <table>
      <thead>
        <tr>
          <th scope="col">Repository</th>
          <th scope="col" class="num">Tags</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
  const none = html`<div class="card">
    <p class="empty">
      ${q === '' && next === undefined ? 'Nothing has been pushed here yet.' : 'No repository matches.'}
    </p>
  </div>`;
  return {
    title: 'Repositories',
    crumbs: [],
    heading: html`Repositories`,
    body: html`${searchForm({ action: HOME, value: q, label: 'Search repositories' })}
      ${names.length === 0 ? none : table}
      <nav class="pages" aria-label="Pages">
        ${query.has('after') ? html`<a href="${q === '' ? HOME : `${HOME}?${String(new URLSearchParams({ q }))}`}">First page</a>` : NOTHING}${next === undefined ? NOTHING : html`<a rel="next" href="${HOME}?${String(more)}">Next page</a>`}
      </nav>`,
  };
}
