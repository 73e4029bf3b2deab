import { html } from './html.ts';
import type { Html } from './html.ts';

export interface SearchForm {
  readonly action: string;
  readonly value: string;
  readonly label: string;
  /** What is said beside it. */
  readonly note?: string | undefined;
}

export const searchForm = ({ action, value, label, note }: SearchForm): Html =>
  html`<div class="tools">
    <form class="search" role="search" action="${action}">
      <input
        type="search"
        name="q"
        value="${value}"
        placeholder="${label}"
        aria-label="${label}"
        autocomplete="off"
        spellcheck="false"
      /><button>Search</button>
    </form>
    <p>${note}</p>
  </div>`;
