import { RegistryError } from '../errors.ts';
import { compareBytes } from '../pagination.ts';
import type { TagEntry } from '../storage.ts';
import { eachOf, TAGS_MAX } from './catalogue.ts';
import type { Catalogue, Summary } from './catalogue.ts';
import { age, formatBytes, plural, shortDigest } from './format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import type { PageContent } from './layout.ts';
import { digestPath, HOME, repositoryPath, tagPath } from './place.ts';
import { searchForm } from './search-form.ts';

const ROWS = 50;
const PLATFORMS_SHOWN = 4;

type Order = 'updated' | 'name';

export const sizeText = ([least, most]: Summary['sizeBytes']): string => {
  const texts = [...new Set([formatBytes(least), formatBytes(most)])];
  return most === 0 ? '—' : texts.join(' – ');
};

export const chips = (texts: readonly string[]): Html => {
  if (texts.length === 0) return html`<span class="dim">—</span>`;
  const more = texts.length - PLATFORMS_SHOWN;
  return html`<ul class="chips">
    ${texts.slice(0, PLATFORMS_SHOWN).map((text) => html`<li class="chip">${text}</li>`)}${more > 0 ? html`<li class="chip">+${more}</li>` : NOTHING}
  </ul>`;
};

interface RepositoryQuery {
  readonly name: string;
  readonly query: URLSearchParams;
}

async function row(catalogue: Catalogue, name: string, { tag, digest, updatedAtMs }: TagEntry): Promise<Html> {
  const summary = await catalogue.summary(name, digest);
  return html`<tr data-name="${tag}">
    <th scope="row"><a href="${tagPath(name, tag)}">${tag}</a></th>
    <td data-label="Updated" class="tight">${age(updatedAtMs)}</td>
    <td data-label="Size" class="num">${sizeText(summary?.sizeBytes ?? [0, 0])}</td>
    <td data-label="Platforms">${chips(summary?.platforms ?? [])}</td>
    <td data-label="Digest" class="tight">
      <a class="mono" href="${digestPath(name, digest)}" title="${digest}">${shortDigest(digest)}</a>
    </td>
  </tr>`;
}

const sorters: Readonly<Record<Order, (a: TagEntry, b: TagEntry) => number>> = {
  updated: (a, b) => b.updatedAtMs - a.updatedAtMs || compareBytes(a.tag, b.tag),
  name: (a, b) => compareBytes(a.tag, b.tag),
};

interface View {
  readonly name: string;
  readonly q: string;
  readonly order: Order;
}

function link({ name, q, order }: View, page: number): string {
  const query = new URLSearchParams({
    ...(q === '' ? {} : { q }),
    ...(order === 'updated' ? {} : { sort: order }),
    ...(page === 1 ? {} : { page: String(page) }),
  });
  return `${repositoryPath(name)}${query.size === 0 ? '' : `?${String(query)}`}`;
}

const header = (view: View, order: Order, label: string): Html =>
  view.order === order
    ? html`<th scope="col" aria-sort="${order === 'name' ? 'ascending' : 'descending'}">
        <a href="${link(view, 1)}">${label} ${order === 'name' ? '↑' : '↓'}</a>
      </th>`
    : html`<th scope="col"><a href="${link({ ...view, order }, 1)}">${label}</a></th>`;

function pages(view: View, page: number, last: number): Html {
  if (last === 1) return NOTHING;
  return html`<nav class="pages" aria-label="Pages">
    ${page > 1 ? html`<a rel="prev" href="${link(view, page - 1)}">Previous page</a>` : NOTHING}<span
      >Page ${page} of ${last}</span
    >${page < last ? html`<a rel="next" href="${link(view, page + 1)}">Next page</a>` : NOTHING}
  </nav>`;
}

/**
 * The tags of a repository.
 *
 * @throws {@link RegistryError} `NAME_UNKNOWN`: it has none, and no manifest either
 */
export async function repositoryPage(
  catalogue: Catalogue,
  { name, query }: RepositoryQuery,
  isThere: () => Promise<boolean>,
): Promise<PageContent> {
  const q = query.get('q') ?? '';
  const order: Order = query.get('sort') === 'name' ? 'name' : 'updated';
  const view = { name, q, order };
  const all = await catalogue.tags(name);
  if (all.length === 0 && !(await isThere())) throw new RegistryError('NAME_UNKNOWN', 'no such repository');
  const wanted = q.trim().toLowerCase();
  const found = all.filter(({ tag }) => tag.toLowerCase().includes(wanted)).sort(sorters[order]);
  const last = Math.max(1, Math.ceil(found.length / ROWS));
  const page = Math.min(last, Math.max(1, Math.trunc(Number(query.get('page') ?? 1)) || 1));
  const rows = await eachOf(found.slice((page - 1) * ROWS, page * ROWS), (entry) => row(catalogue, name, entry));
  const table = html`<div class="card scroll">
    <table class="rows">
      <thead>
        <tr>
          ${header(view, 'name', 'Tag')}${header(view, 'updated', 'Updated')}
          <th scope="col" class="num">Size</th>
          <th scope="col">Platforms</th>
          <th scope="col">Digest</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
  const none = html`<div class="card">
    <p class="empty">${q === '' ? 'No tags: what is here can be had by its digest.' : 'No tag matches.'}</p>
  </div>`;
  const note = `${plural(found.length, 'tag')}${all.length >= TAGS_MAX ? ' of those that fit here' : ''}`;
  return {
    title: name,
    crumbs: [{ text: 'Repositories', path: HOME }],
    heading: html`${name}`,
    body: html`${searchForm({ action: repositoryPath(name), value: q, label: 'Search tags', note })}
    ${found.length === 0 ? none : table} ${pages(view, page, last)}`,
  };
}
