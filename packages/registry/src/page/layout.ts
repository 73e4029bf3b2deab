import { createHash } from 'node:crypto';

import type { EndpointExchange } from '../server/endpoint.ts';
import { Html, html, NOTHING } from './html.ts';
import { HOME, SIGN_IN } from './place.ts';
import { SCRIPT, STYLE } from './style.ts';

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing is loaded, and nothing runs but what is written here: a label that gets through as markup still does nothing. */
const POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  'img-src data:',
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%232f6fed' stroke-width='2' stroke-linejoin='round'%3E%3Cpath d='M12 3l9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5'/%3E%3C/svg%3E";

const LOGO = html`<svg
  width="22"
  height="22"
  viewBox="0 0 24 24"
  fill="none"
  stroke="currentColor"
  stroke-width="2"
  stroke-linejoin="round"
  aria-hidden="true"
>
  <path d="M12 2l9 5-9 5-9-5zM3 12l9 5 9-5M3 17l9 5 9-5" />
</svg>`;

export interface Crumb {
  readonly text: string;
  readonly path: string;
}

/** One page. */
export interface PageContent {
  readonly status?: number | undefined;
  readonly title: string;
  /** What it is below. */
  readonly crumbs: readonly Crumb[];
  readonly heading: Html;
  readonly body: Html;
}

export interface LayoutOptions {
  /** What the registry is called at the top of each page. */
  readonly title: string;
  /** Whether to offer those without an account to sign in. */
  readonly signIn: boolean;
}

const STYLE_ELEMENT = new Html(`<style>${STYLE}</style>`);
const SCRIPT_ELEMENT = new Html(`<script type="module">${SCRIPT}</script>`);

function who(account: string | undefined, signIn: boolean): Html {
  if (account !== undefined) return html`<span class="who">signed in as <bdi>${account}</bdi></span>`;
  return signIn ? html`<a class="who" href="${SIGN_IN}">Sign in</a>` : NOTHING;
}

const trail = (crumbs: readonly Crumb[]): Html =>
  crumbs.length === 0
    ? NOTHING
    : html`<nav class="crumbs" aria-label="Breadcrumb">
        <ol>
          ${crumbs.map(({ text, path }) => html`<li><a href="${path}">${text}</a></li>`)}
        </ol>
      </nav>`;

/** All of a page around its content. */
export function layOut(content: PageContent, options: LayoutOptions, account: string | undefined): Html {
  const { title, crumbs, heading, body } = content;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title === options.title ? title : `${title} · ${options.title}`}</title>
        <link rel="icon" href="${ICON}" />
        ${STYLE_ELEMENT}
      </head>
      <body>
        <a class="skip" href="#content">Skip to content</a>
        <header class="bar-top">
          <div class="wrap">
            <a class="brand" href="${HOME}">${LOGO}<span>${options.title}</span></a
            >${who(account, options.signIn)}
          </div>
        </header>
        <main id="content" class="wrap" tabindex="-1">
          ${trail(crumbs)}
          <h1>${heading}</h1>
          ${body}
        </main>
        <footer class="wrap">Sizes are of what is stored and transferred, in powers of 1000.</footer>
        ${SCRIPT_ELEMENT}
      </body>
    </html> `;
}

/** Sends a page with the headers that keep it harmless. */
export function sendPage(
  { request, response, identity }: EndpointExchange,
  content: PageContent,
  options: LayoutOptions,
): void {
  const bytes = Buffer.from(layOut(content, options, identity.account).text);
  response.writeHead(content.status ?? 200, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': bytes.byteLength,
    'Content-Security-Policy': POLICY,
    'Referrer-Policy': 'no-referrer',
    'X-Frame-Options': 'DENY',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
