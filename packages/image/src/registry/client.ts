import type { Reference } from '../reference.ts';
import type { Credential, CredentialSource } from './credentials.ts';
import type { RegistriesConfig } from './registries-config.ts';
import type { ListOptions, Repository } from './repository.ts';

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

/** A client for all registries. Nothing is contacted until a call needs it. */
export const openRegistryClient = (options: RegistryClientOptions = {}): RegistryClient => {
  throw new Error(String(options.userAgent));
};
