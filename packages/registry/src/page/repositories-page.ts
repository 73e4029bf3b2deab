import type { Identity } from '../access/access.ts';
import type { RegistryStorage } from '../storage.ts';
import { eachOf, unlessUnknown } from './catalogue.ts';
import { plural } from './format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import type { PageContent } from './layout.ts';
import { HOME, repositoryPath } from './place.ts';
import { searchForm } from './search-form.ts';

const ROWS = 50;
const SCAN_PAGE = 1000;
/** Names that one request looks at for matches; its page leads on to the others. */
const SCAN_MAX = 20_000;
const TAGS_SHOWN = 99;

interface Found {
  readonly names: readonly string[];
  /** Where to go on; undefined: that was all. */
  readonly next: string | undefined;
}

export interface RepositoriesQuery {
  readonly storage: RegistryStorage;
  readonly identity: Identity;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
}

async function find({ storage, identity, query, signal }: RepositoriesQuery): Promise<Found> {
  const wanted = (query.get('q') ?? '').trim().toLowerCase();
  const names: string[] = [];
  let after = query.get('after') ?? undefined;
  for (let scanned = 0; scanned < SCAN_MAX; scanned += SCAN_PAGE) {
    const { entries, next } = await storage.listRepositories({ limit: SCAN_PAGE, after }, { signal });
    for (const name of entries) {
      if (!name.includes(wanted) || !identity.mayPull(name)) continue;
      if (names.length === ROWS) return { names, next: names.at(-1) };
      names.push(name);
    }
    if (next === undefined) return { names, next: undefined };
    after = next;
  }
  return { names, next: after };
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
