import { isRegistryError, RegistryError } from '../errors.ts';
import { checkReads } from '../operation/reading.ts';
import type { Endpoint, EndpointExchange } from '../server/endpoint.ts';
import type { RegistryStorage } from '../storage.ts';
import { Catalogue } from './catalogue.ts';
import { html } from './html.ts';
import { imagePage } from './image-page.ts';
import { sendPage } from './layout.ts';
import type { LayoutOptions, PageContent } from './layout.ts';
import { HOME, parsePlace } from './place.ts';
import { repositoriesPage } from './repositories-page.ts';
import { repositoryPage } from './repository-page.ts';

export interface PageOptions {
  readonly storage: RegistryStorage;
  /** What the registry is called on its pages. Default `Registry`. */
  readonly title?: string | undefined;
  /** What references to its images begin with. Default: what the browser calls it. */
  readonly domain?: string | undefined;
  /** Whether to offer who came without an account to sign in: where there are accounts, and not only those. Default false. */
  readonly signIn?: boolean | undefined;
}

interface Site extends LayoutOptions {
  readonly storage: RegistryStorage;
  readonly catalogue: Catalogue;
  readonly domain: string | undefined;
}

/**
 * Pages to look through a registry: its repositories, their tags, and what images are made of. They need no JavaScript, load
 * nothing from elsewhere and change nothing. Each shows what its reader may pull; with access control, a browser is asked for
 * a password when nobody may look without one.
 *
 * @returns `/`, which leads on, and `/ui/`
 * @example createRegistry({ storage, endpoints: pageEndpoints({ storage }) })
 */
export function pageEndpoints(options: PageOptions): readonly Endpoint[] {
  const { storage, title = 'Registry', signIn = false, domain } = options;
  const site: Site = { storage, catalogue: new Catalogue(storage), title, signIn, domain };
  return [
    {
      path: '/',
      needs: [],
      handle: (exchange) => {
        checkReads(exchange.request);
        redirect(exchange);
        return Promise.resolve();
      },
    },
    { path: HOME, needs: [{ resource: 'catalog' }], handle: (exchange) => answer(site, exchange) },
  ];
}

function redirect({ response }: EndpointExchange): void {
  response.writeHead(303, { Location: HOME, 'Content-Length': 0, 'Cache-Control': 'no-store' });
  response.end();
}

async function answer(site: Site, exchange: EndpointExchange): Promise<void> {
  checkReads(exchange.request);
  const [path = '', ...rest] = (exchange.request.url ?? '').split('?');
  try {
    const content = await pageOf(site, exchange, { path, query: new URLSearchParams(rest.join('?')) });
    if (content === undefined) redirect(exchange);
    else sendPage(exchange, content, site);
  } catch (error) {
    // What stands for a reader to see; what went wrong here is the registry's to tell.
    if (!isRegistryError(error) || error.status !== 404) throw error;
    sendPage(exchange, MISSING, site);
  }
}

const MISSING: PageContent = {
  status: 404,
  title: 'Not found',
  crumbs: [{ text: 'Repositories', path: HOME }],
  heading: html`Not found`,
  body: html`<div class="card"><p class="empty">It isn't here any more, never was, or isn't for you to see.</p></div>`,
};

interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Undefined: back to the beginning. */
async function pageOf(
  site: Site,
  exchange: EndpointExchange,
  { path, query }: Asked,
): Promise<PageContent | undefined> {
  const { storage, catalogue } = site;
  const { request, identity, signal } = exchange;
  const place = parsePlace(path);
  if (place === undefined) throw new RegistryError('NAME_UNKNOWN', 'no such page', { status: 404 });
  if (place.type === 'repositories') return repositoriesPage({ storage, catalogue, identity, query, signal });
  if (place.type === 'sign-in') {
    if (identity.account === undefined && site.signIn) throw askForPassword();
    return undefined;
  }
  const { name } = place;
  if (!identity.mayPull(name)) throw new RegistryError('NAME_UNKNOWN', 'no such repository');
  if (place.type === 'image') {
    const domain = site.domain ?? domainOf(request.headers.host);
    return imagePage({ storage, catalogue, signal }, { name, reference: place.reference, domain });
  }
  const isThere = async (): Promise<boolean> => {
    for await (const _manifest of storage.listManifests(name, { signal })) return true;
    return false;
  };
  return repositoryPage(catalogue, { name, query }, isThere);
}

const askForPassword = (): RegistryError =>
  new RegistryError('UNAUTHORIZED', 'sign in with an account', {
    headers: { 'WWW-Authenticate': 'Basic realm="registry", charset="UTF-8"', 'Cache-Control': 'no-store' },
  });

/** It gets into a command that people run, so it must be a host and nothing else. */
const domainOf = (host: string | undefined): string =>
  host !== undefined && /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(host) ? host : 'localhost';
