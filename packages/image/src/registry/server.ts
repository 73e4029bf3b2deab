import { ImageError, isImageError } from '../errors.ts';
import { Authorizer, type Need } from './authorizer.ts';
import { discardBody, readBody } from './body.ts';
import type { CredentialSource } from './credentials.ts';
import { connectionFailure, header, type Answer } from './failure.ts';
import { isLoopback, registryHost } from './host-name.ts';
import type { RegistryHost } from './registries-config.ts';
import { isTransient, isTransientStatus, parseRetryAfter, waitToRetry, type RetryPolicy } from './retry.ts';
import { untilAborted } from './shared-calls.ts';
import { wantsPlainHttp } from './tls.ts';
import type { Transport, WireRequest } from './transport.ts';

/** Sends its bytes again each time it is called. */
export type BodySource = () => AsyncIterable<Uint8Array>;

export interface ServerRequest {
  readonly method: WireRequest['method'];
  /** Below the server's origin, or a URL that the server has named. */
  readonly target: string | URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | BodySource | undefined;
  readonly need: Need;
  readonly signal?: AbortSignal | undefined;
  /** Default: try again as the client's policy says. What sends a stream says `false` and looks how far it got. */
  readonly retry?: boolean | undefined;
}

export interface ServerOptions {
  /** As in references. */
  readonly domain: string;
  /** Scheme and host, where they are configured and not to be found out. */
  readonly url?: URL | undefined;
  readonly transport: Transport;
  readonly credentials: CredentialSource | undefined;
  readonly retry: RetryPolicy;
  readonly userAgent: string;
}

const MAX_REDIRECTS = 5;

/** One registry server: adds what authorizes, follows redirects, tries again. */
export class Server {
  readonly domain: string;
  /** In the clock of `performance.now()`: as a mirror it is not asked before. */
  avoidUntilMs = 0;
  readonly #options: ServerOptions;
  #origin: Promise<URL> | undefined;
  #authorizer: Authorizer | undefined;

  constructor(options: ServerOptions) {
    this.domain = options.domain;
    this.#options = options;
  }

  /**
   * The answer to a request, whatever its status.
   *
   * @throws {@link ImageError} `REGISTRY_UNREACHABLE`, `REGISTRY_UNAUTHORIZED` (no token is to be had), `REGISTRY_FAILED`
   *   (redirects that lead nowhere), `REGISTRY_CONFIG_INVALID`, `CREDENTIALS_FAILED`
   */
  async send(request: ServerRequest): Promise<Answer> {
    const exchange = (): Promise<Answer> => this.#exchange(request);
    return request.retry === false ? await exchange() : await this.#withRetries(request.signal, exchange);
  }

  /** The same with the whole body, which is small, read before the connection counts as having held. */
  async fetch(request: ServerRequest, maxBytes: number): Promise<{ answer: Answer; bytes: Buffer }> {
    const fetched = await this.#withRetries(request.signal, async () => {
      const answer = await this.#exchange(request);
      if (answer.status !== 200) return { ...answer, bytes: Buffer.alloc(0) };
      return { ...answer, bytes: await readWhole(answer, maxBytes, request.signal) };
    });
    return { answer: fetched, bytes: fetched.bytes };
  }

  /** Where requests go, once it is known whether a server at this machine wants plain HTTP. */
  async origin(signal?: AbortSignal): Promise<URL> {
    this.#origin ??= this.#findOrigin();
    return await untilAborted(this.#origin, signal);
  }

  async #findOrigin(): Promise<URL> {
    const { url, domain } = this.#options;
    if (url !== undefined) return new URL('/', url);
    const host = registryHost(domain);
    const { plainHttp } = this.#config ?? {};
    if (plainHttp === true) return new URL(`http://${host}`);
    const secure = new URL(`https://${host}`);
    if (plainHttp === false || !isLoopback(secure.hostname)) return secure;
    // An explicit ":443" is dropped by URL, and must not lead to port 80.
    const port = /:(\d+)$/.exec(host)?.[1];
    const probe = { hostname: secure.hostname, port: port === undefined ? undefined : Number(port) };
    return (await wantsPlainHttp(probe)) ? new URL(`http://${host}`) : secure;
  }

  get #config(): RegistryHost | undefined {
    return this.#options.transport.hostOf(this.#options.url?.host ?? this.#options.domain);
  }

  #authorizerFor(origin: URL): Authorizer {
    const { domain, credentials, transport, userAgent } = this.#options;
    this.#authorizer ??= new Authorizer({
      credentials,
      rules: { origin: origin.origin, domain, tokenHosts: this.#config?.tokenHosts ?? [], plainHttp: false },
      isPlainHttp: (host) => transport.hostOf(host)?.plainHttp === true,
      send: (url, request) =>
        this.#withRetries(request.signal, () =>
          transport.request(url, {
            ...request,
            headers: { ...transport.hostOf(url.host)?.headers, 'user-agent': userAgent, ...request.headers },
          }),
        ),
    });
    return this.#authorizer;
  }

  async #withRetries<T extends Answer>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    const policy = this.#options.retry;
    for (let failures = 1; ; failures += 1) {
      const last = failures >= policy.attempts;
      let retryAfterMs: number | undefined;
      try {
        const answer = await attempt();
        if (last || !isTransientStatus(answer.status)) return answer;
        await discardBody(answer.body);
        retryAfterMs = parseRetryAfter(header(answer, 'retry-after'), Date.now());
      } catch (error) {
        if (last || !isTransient(error)) throw error;
      }
      await waitToRetry(policy, { failures, retryAfterMs }, signal);
    }
  }

  /** One try: with redirects, and again with authorization where the registry wants one. */
  async #exchange(request: ServerRequest): Promise<Answer> {
    const { need, signal } = request;
    const origin = await this.origin(signal);
    const authorizer = this.#authorizerFor(origin);
    let authorization = await authorizer.authorization(need, signal);
    let url = targetOf(request.target, origin);
    let challenged = false;
    for (let redirects = 0; ;) {
      const own = url.origin === origin.origin;
      const answer = await this.#request(url, request, own ? authorization : undefined);
      if (answer.status === 401 && own && !challenged) {
        challenged = true;
        const headers = [answer.headers['www-authenticate'] ?? []].flat();
        const better = await authorizer.answer({ headers, authorization }, need, signal);
        if (better === undefined) return answer;
        authorization = better;
      } else {
        const next = redirectOf(answer, url, request.method);
        if (next === undefined) return answer;
        redirects += 1;
        if (redirects > MAX_REDIRECTS) throw lost(url, `it redirects more than ${String(MAX_REDIRECTS)} times`);
        url = next;
      }
      await discardBody(answer.body);
    }
  }

  /** What is secret goes to the registry's own origin only. */
  async #request(url: URL, request: ServerRequest, authorization: string | undefined): Promise<Answer> {
    const { transport, userAgent } = this.#options;
    const body = typeof request.body === 'function' ? request.body() : request.body;
    const headers = {
      // A host's own headers go with its name, not with ours.
      ...transport.hostOf(url.host)?.headers,
      'user-agent': userAgent,
      'accept-encoding': 'identity',
      ...request.headers,
      ...(authorization === undefined ? {} : { authorization }),
    };
    const answer = await transport.request(url, { method: request.method, headers, body, signal: request.signal });
    return { ...answer, secrets: secretsIn(authorization) };
  }
}

const secretsIn = (authorization: string | undefined): readonly string[] => {
  if (authorization === undefined) return [];
  const value = authorization.slice(authorization.indexOf(' ') + 1);
  if (!authorization.startsWith('Basic ')) return [value];
  const decoded = Buffer.from(value, 'base64').toString();
  return [value, decoded, decoded.slice(decoded.indexOf(':') + 1)];
};

const readWhole = async (answer: Answer, maxBytes: number, signal: AbortSignal | undefined): Promise<Buffer> => {
  try {
    return await readBody(answer.body, { maxBytes, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (isImageError(error)) throw error;
    throw connectionFailure(answer.url.host, error);
  }
};

const lost = (url: URL, why: string): ImageError =>
  new ImageError('REGISTRY_FAILED', `cannot follow ${url.host}: ${why}`, { path: url.host });

const REPEATED: ReadonlySet<number> = new Set([307, 308]);
const READ_AGAIN: ReadonlySet<number> = new Set([301, 302, 303]);

const redirectOf = (answer: Answer, from: URL, method: WireRequest['method']): URL | undefined => {
  const reads = method === 'GET' || method === 'HEAD';
  if (!REPEATED.has(answer.status) && !(reads && READ_AGAIN.has(answer.status))) return undefined;
  const location = header(answer, 'location');
  return location === undefined ? undefined : locationUrl(location, from);
};

const targetOf = (target: string | URL, origin: URL): URL =>
  typeof target === 'string' ? new URL(target, origin) : target;

/**
 * Where a `Location` leads. One over plain HTTP to the same host is what a registry says that doesn't know of the TLS
 * in front of it, so TLS stays; to another host it is refused.
 *
 * @throws {@link ImageError} `REGISTRY_FAILED`
 */
export const locationUrl = (location: string, from: URL): URL => {
  const url = URL.parse(location, from.href);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw lost(from, 'its Location is no http or https URL');
  url.username = url.password = url.hash = '';
  if (from.protocol !== 'https:' || url.protocol === 'https:') return url;
  if (url.hostname !== from.hostname || (url.port !== '' && url.port !== from.port))
    throw lost(from, `it redirects to plain HTTP at ${url.host}`);
  url.protocol = 'https:';
  url.port = from.port;
  return url;
};
