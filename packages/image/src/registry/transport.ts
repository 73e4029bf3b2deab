import { isIP } from 'node:net';

import type { Dispatcher } from 'undici';

import type { ProxyOptions } from './client.ts';
import { connectionFailure, type Answer } from './failure.ts';
import { registryHost } from './host-name.ts';
import { proxyFor } from './proxy.ts';
import type { RegistriesConfig, RegistryHost } from './registries-config.ts';
import { tlsOptions, type TlsOptions } from './tls.ts';
import { undiciPool, undiciProxyAgent, undiciRequest } from './undici.ts';
import { isStream, watchUpload } from './upload-watch.ts';

/** How long to wait, every member set. */
export interface Timeouts {
  readonly connectMs: number;
  readonly headersMs: number;
  readonly stallMs: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 15_000, headersMs: 120_000, stallMs: 60_000 };

export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A registry that has got a whole blob may hash it once more before it answers. */
const UPLOAD_PATIENCE = 5;

export interface TransportOptions {
  readonly registries: RegistriesConfig;
  readonly proxy: ProxyOptions;
  readonly timeouts: Timeouts;
}

const KEEP_ALIVE_MS = 30_000;

/** `registry.example:443` and `registry.example` are one host, and `docker.io` is answered by another. */
const hostKey = (domain: string): string => URL.parse(`https://${registryHost(domain)}`)?.host ?? domain;

/** Sends single requests: no redirects, no credentials, no second try. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #hosts: ReadonlyMap<string, RegistryHost>;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    const named = Object.entries(options.registries.hosts).filter(([domain]) => domain !== '*');
    this.#hosts = new Map(named.map(([domain, host]) => [hostKey(domain), host]));
  }

  /** How a host is configured; `undefined` if it isn't. */
  hostOf(domain: string): RegistryHost | undefined {
    return this.#hosts.get(hostKey(domain));
  }

  /** @throws {@link ImageError} `REGISTRY_UNREACHABLE`, `REGISTRY_CONFIG_INVALID` */
  async request(url: URL, request: WireRequest): Promise<Answer> {
    request.signal?.throwIfAborted();
    const dispatcher = await this.#dispatcherFor(url);
    const { stallMs, headersMs } = this.#options.timeouts;
    const { body, signal, watch } = isStream(request.body)
      ? watchUpload(request.body, stallMs, request.signal)
      : { body: request.body, signal: request.signal, watch: undefined };
    try {
      const send = await undiciRequest();
      const answer = await send.call(dispatcher, {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: request.method,
        headers: request.headers,
        body: (body ?? null) as Buffer | null,
        signal: signal ?? null,
        headersTimeout: watch === undefined ? headersMs : headersMs * UPLOAD_PATIENCE,
      });
      // Failures are news to who reads the body, not to the process.
      answer.body.on('error', () => undefined);
      return { status: answer.statusCode, headers: answer.headers, body: answer.body, url, secrets: [] };
    } catch (error) {
      request.signal?.throwIfAborted();
      throw connectionFailure(url.host, error);
    } finally {
      watch?.[Symbol.dispose]();
    }
  }

  /** Drops all connections. */
  async close(): Promise<void> {
    this.#closed = true;
    const dispatchers = await Promise.allSettled(this.#dispatchers.values());
    this.#dispatchers.clear();
    const open = dispatchers.filter((result) => result.status === 'fulfilled');
    await Promise.all(open.map(({ value }) => value.destroy()));
  }

  async #dispatcherFor(url: URL): Promise<Dispatcher> {
    if (this.#closed) throw new TypeError('the registry client is closed');
    const known = this.#dispatchers.get(url.origin);
    if (known !== undefined) return await known;
    const made = this.#makeDispatcher(url);
    this.#dispatchers.set(url.origin, made);
    // A file that could not be read may be there the next time.
    made.catch(() => this.#dispatchers.delete(url.origin));
    return await made;
  }

  async #makeDispatcher(url: URL): Promise<Dispatcher> {
    const tls = await tlsOptions(this.#hosts.get(url.host));
    const proxy = proxyFor(url, this.#options.proxy);
    const { connectMs, headersMs, stallMs } = this.#options.timeouts;
    const common = {
      headersTimeout: headersMs,
      bodyTimeout: stallMs,
      connectTimeout: connectMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      allowH2: false,
    };
    if (proxy === undefined) {
      const Pool = await undiciPool();
      return new Pool(url.origin, { ...common, connect: { ...tls, timeout: connectMs } });
    }
    const ProxyAgent = await undiciProxyAgent();
    return new ProxyAgent({ ...common, uri: proxy.href, requestTls: namedTls(url, tls) });
  }
}

/** Through a proxy, undici asks for no certificate by name unless it is told to. */
const namedTls = (url: URL, tls: TlsOptions): TlsOptions & { servername?: string } => {
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(hostname) === 0 ? { ...tls, servername: hostname } : tls;
};
