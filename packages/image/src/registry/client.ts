import { ImageError, isImageError, quote } from '../errors.ts';
import { parseReference, type Reference } from '../reference.ts';
import { discardBody } from './body.ts';
import type { Credential, CredentialSource } from './credentials.ts';
import { answerFailure } from './failure.ts';
import { checkRepository, domainOfHost, searchUrl } from './host-name.ts';
import { listRepositories } from './lists.ts';
import type { RegistriesConfig, RegistryMirror } from './registries-config.ts';
import { openRepository, type ListOptions, type Repository } from './repository.ts';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.ts';
import { searchRepositories } from './search.ts';
import { Server } from './server.ts';
import type { Place } from './site.ts';
import { DEFAULT_TIMEOUTS, Transport } from './transport.ts';

/** Proxies, as `http_proxy`, `https_proxy` and `no_proxy` name them. Loopback addresses are never reached through one. */
export interface ProxyOptions {
  /** For plain HTTP: `http://user:password@proxy.example:3128`. */
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  /** Hosts to reach directly: `example.com` (with all below it), `.example.com`, `10.0.0.0/8`, `host:5000`, `*`. */
  readonly no?: string | readonly string[] | undefined;
}

export interface RetryOptions {
  /** How often a request is tried in all. Default: 5. */
  readonly attempts?: number | undefined;
  /** Before the second attempt; doubled each time, with jitter. Default: 250. */
  readonly minDelayMs?: number | undefined;
  /** The longest wait, also where a registry asks for more. Default: 30,000. */
  readonly maxDelayMs?: number | undefined;
}

export interface TimeoutOptions {
  /** To a connection. Default: 15,000. */
  readonly connectMs?: number | undefined;
  /** From the request to the answer's headers. Default: 120,000. */
  readonly headersMs?: number | undefined;
  /** Without a byte going or coming. Default: 60,000. */
  readonly stallMs?: number | undefined;
}

export interface RegistryClientOptions {
  /** Default: anonymous. */
  readonly credentials?: CredentialSource | undefined;
  readonly registries?: RegistriesConfig | undefined;
  /** Default: none; the environment is not looked at. */
  readonly proxy?: ProxyOptions | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly timeouts?: TimeoutOptions | undefined;
  readonly userAgent?: string | undefined;
  /**
   * Whether blobs that a registry hasn't got are looked for, without credentials, where their descriptors' `urls` lead:
   * to any https host that the author of an image has chosen. Only `Repository.blob` does it. Default: false.
   */
  readonly foreignLayers?: boolean | undefined;
}

export interface SearchResult {
  /** As people write it: `debian`, `user/app`. */
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
}

/** Speaks with registries. Holds connections and tokens, in memory only. */
export interface RegistryClient extends AsyncDisposable {
  /** @throws {@link ImageError} `REFERENCE_INVALID` */
  repository(name: string | Reference): Repository;
  /**
   * Asks the registry whether it takes a credential, as `docker login` does.
   *
   * @throws {@link ImageError} `REGISTRY_UNAUTHORIZED`: it doesn't
   */
  verifyCredential(
    domain: string,
    credential: Credential,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
  /** Names of all repositories that the registry wants to list; most public ones refuse. */
  repositories(domain: string, options?: ListOptions): AsyncIterable<string>;
  /** Finds repositories by name and description, as `docker search`: at Docker Hub, or at a host: `localhost:5000/term`. */
  search(
    term: string,
    options?: { readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<readonly SearchResult[]>;
  /** Closes the connections; calls that still run fail. Calling it twice is fine. */
  close(): Promise<void>;
}

/** The defaults for what is absent or `undefined`. */
const withDefaults = <T extends object>(defaults: T, given: { readonly [K in keyof T]?: T[K] | undefined } = {}): T => {
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(set) };
};

const SEARCH_LIMIT = 25;

class Client implements RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #transport: Transport;
  readonly #retry: RetryPolicy;
  readonly #userAgent: string;
  /** By domain, or by URL for mirrors and others. */
  readonly #servers = new Map<string, Server>();

  constructor(options: RegistryClientOptions) {
    this.#options = options;
    this.#retry = withDefaults(DEFAULT_RETRY, options.retry);
    this.#userAgent = options.userAgent ?? 'tsc-image';
    this.#transport = new Transport({
      registries: options.registries ?? { hosts: {} },
      proxy: options.proxy ?? {},
      timeouts: withDefaults(DEFAULT_TIMEOUTS, options.timeouts),
    });
  }

  repository(name: string | Reference): Repository {
    const { domain, path } = checkRepository(typeof name === 'string' ? parseReference(name) : name);
    const foreign = this.#options.foreignLayers === true ? (url: URL) => this.#foreignServer(url) : undefined;
    return openRepository(this.#place(domain, path), { foreign });
  }

  async verifyCredential(domain: string, credential: Credential, options: CallOptions = {}): Promise<void> {
    const { signal } = options;
    const credentials = { credentialFor: () => Promise.resolve(credential) };
    const server = this.#makeServer({ domain: checkDomain(domain), credentials, retry: this.#retry });
    const answer = await server.send({ method: 'GET', target: '/v2/', need: { repository: '', scopes: [] }, signal });
    if (answer.status === 200) await discardBody(answer.body);
    else throw await answerFailure(`cannot log in to ${domain}`, answer, signal);
  }

  repositories(domain: string, options: ListOptions = {}): AsyncIterable<string> {
    return listRepositories(this.#server(checkDomain(domain)), options);
  }

  async search(
    term: string,
    { limit = SEARCH_LIMIT, signal }: CallOptions & { readonly limit?: number | undefined } = {},
  ): Promise<readonly SearchResult[]> {
    const { domain, words } = splitTerm(term);
    const url = searchUrl(domain);
    const server =
      url === undefined
        ? this.#server(domain)
        : this.#shared(url.href, () => this.#makeServer({ domain, url, retry: this.#retry }));
    return await searchRepositories(server, words, { limit, signal });
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #place(domain: string, path: string): Place {
    const own = this.#transport.hostOf(domain) ?? this.#options.registries?.hosts['*'];
    return {
      domain,
      path,
      origin: { server: this.#server(domain), name: path },
      mirrors: (own?.mirrors ?? []).map((mirror) => this.#mirror(mirror, { domain, path })),
      retry: this.#retry,
    };
  }

  #mirror(
    { url, capabilities = ['pull', 'resolve'] }: RegistryMirror,
    of: { domain: string; path: string },
  ): Place['mirrors'][number] {
    const base = URL.parse(url);
    if (base === null || !['http:', 'https:'].includes(base.protocol))
      throw new ImageError('REGISTRY_CONFIG_INVALID', `invalid mirror of ${of.domain}: want an http or https URL`);
    const prefix = base.pathname.replace(/^\/+|\/+$/g, '');
    const { path: name } = checkRepository({
      domain: base.host,
      path: prefix === '' ? of.path : `${prefix}/${of.path}`,
    });
    const server = this.#shared(base.origin, () =>
      // A mirror that fails has another server after it, so it is asked once.
      this.#makeServer({ domain: domainOfHost(base.host), url: base, retry: { ...this.#retry, attempts: 1 } }),
    );
    return { server, name, mirrorOf: of.domain, capabilities };
  }

  #server(domain: string): Server {
    return this.#shared(domain, () => this.#makeServer({ domain, retry: this.#retry }));
  }

  #foreignServer(url: URL): Server {
    const { origin: key, host: domain } = url;
    return this.#shared(`${key} foreign`, () =>
      this.#makeServer({ domain, url, credentials: undefined, retry: this.#retry }),
    );
  }

  #shared(key: string, make: () => Server): Server {
    const server = this.#servers.get(key) ?? make();
    this.#servers.set(key, server);
    return server;
  }

  #makeServer(
    options: Pick<ConstructorParameters<typeof Server>[0], 'domain' | 'url' | 'retry'> & {
      readonly credentials?: CredentialSource | undefined;
    },
  ): Server {
    return new Server({
      credentials: this.#options.credentials,
      transport: this.#transport,
      userAgent: this.#userAgent,
      ...options,
    });
  }
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** @throws {@link ImageError} `REFERENCE_INVALID` */
const checkDomain = (domain: string): string => {
  const found = checkRepository({ domain, path: 'x/y' });
  if (found.path === 'x/y') return found.domain;
  throw new ImageError('REFERENCE_INVALID', `invalid registry ${quote(domain)}: want a host, or host:port`);
};

/** `localhost:5000/term` asks that host; what doesn't begin with one asks Docker Hub. */
const splitTerm = (term: string): { readonly domain: string; readonly words: string } => {
  const [first = '', ...rest] = term.split('/');
  if (rest.length === 0 || !/[.:]|^localhost$/.test(first)) return { domain: 'docker.io', words: term };
  try {
    return { domain: checkDomain(first), words: rest.join('/') };
  } catch (error) {
    if (isImageError(error)) return { domain: 'docker.io', words: term };
    throw error;
  }
};

/** A client for all registries. Nothing is contacted until a call needs it. */
export const openRegistryClient = (options: RegistryClientOptions = {}): RegistryClient => new Client(options);
