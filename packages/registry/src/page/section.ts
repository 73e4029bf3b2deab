import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';

export interface SectionContent {
  readonly count?: number | undefined;
  readonly body: Html;
}

/** A part of a page that can be jumped to by its heading. */
export function section(title: string, { count, body }: SectionContent): Html {
  const id = title.toLowerCase().replaceAll(' ', '-');
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}${count === undefined ? NOTHING : html`<span class="count">${count}</span>`}</h2>
    ${body}
  </section>`;
}

/** Names and texts; nothing where there are none. */
export function pairsTable(title: string, pairs: readonly (readonly [string, string])[]): Html {
  if (pairs.length === 0) return NOTHING;
  const rows = pairs.map(
    ([name, value]) =>
      html`<tr>
        <th scope="row" class="mono">${name}</th>
        <td><span class="pre">${linked(value)}</span></td>
      </tr>`,
  );
  return section(title, {
    count: pairs.length,
    body: html`<div class="card">
      <table class="pairs">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>`,
  });
}

/** A text that is a web address as a whole can be followed; nothing else can. */
function linked(value: string): Html {
  if (!/^https?:\/\/[^\s"'<>\\]{1,2000}$/i.test(value) || URL.parse(value) === null) return html`${value}`;
  return html`<a href="${value}" rel="noopener noreferrer nofollow" referrerpolicy="no-referrer">${value}</a>`;
}
