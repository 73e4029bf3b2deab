import type { JSONWebKeySet, LocalJWKSet } from 'jose';

import { RegistryError } from '../errors.ts';
import { isLoopbackHost } from '../option-checks.ts';

const TIMEOUT_MS = 5000;
const DOCUMENT_MAX_BYTES = 1024 * 1024;
/** How long keys are used without asking again, how long at most while the issuer is away, and how often it is asked. */
const FRESH_MS = 10 * 60_000;
const STALE_MS = 24 * 3600_000;
const PAUSE_MS = 10_000;

/** The keys of an OpenID Connect issuer, found by discovery and kept. */
export class IssuerKeys {
  readonly #issuer: string;
  readonly #onFailure: ((failure: unknown) => void) | undefined;
  readonly #sets = new WeakMap<JSONWebKeySet, LocalJWKSet>();
  #keys: JSONWebKeySet | undefined;
  #fetchedMs = -Infinity;
  #triedMs = -Infinity;
  #running: Promise<JSONWebKeySet | undefined> | undefined;

  constructor(issuer: string, onFailure: ((failure: unknown) => void) | undefined) {
    this.#issuer = issuer;
    this.#onFailure = onFailure;
  }

  /** Those that were fetched last, if that wasn't too long ago. @throws {@link RegistryError} status 503 */
  async current(): Promise<JSONWebKeySet> {
    const age = performance.now() - this.#fetchedMs;
    if (this.#keys !== undefined && age < FRESH_MS) return this.#keys;
    const fetched = await this.#fetch();
    if (fetched !== undefined) return fetched;
    if (this.#keys !== undefined && age < STALE_MS) return this.#keys;
    throw new RegistryError('UNAUTHORIZED', `the keys of ${this.#issuer} can not be had`, {
      status: 503,
      headers: { 'Retry-After': '10' },
    });
  }

  /** Keys that were fetched after `keys`; undefined when there are none, or when the issuer was asked only just now. */
  async newerThan(keys: JSONWebKeySet): Promise<JSONWebKeySet | undefined> {
    if (this.#keys !== undefined && this.#keys !== keys) return this.#keys;
    return this.#fetch();
  }

  async setOf(keys: JSONWebKeySet): Promise<LocalJWKSet> {
    const { createLocalJWKSet } = await import('jose');
    const known = this.#sets.get(keys) ?? createLocalJWKSet(keys);
    this.#sets.set(keys, known);
    return known;
  }

  /** One request at a time, and one in ten seconds: tokens with made-up keys must not make us a burden for others. */
  #fetch(): Promise<JSONWebKeySet | undefined> {
    if (this.#running !== undefined) return this.#running;
    if (performance.now() - this.#triedMs < PAUSE_MS) return Promise.resolve(undefined);
    this.#triedMs = performance.now();
    this.#running = this.#discover()
      .then((keys) => {
        this.#keys = keys;
        this.#fetchedMs = performance.now();
        return keys;
      })
      .catch((cause: unknown) => {
        this.#onFailure?.(new Error(`cannot get the keys of ${this.#issuer}: ${String(cause)}`, { cause }));
        return undefined;
      })
      .finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #discover(): Promise<JSONWebKeySet> {
    const base = this.#issuer.endsWith('/') ? this.#issuer : `${this.#issuer}/`;
    const document = await fetchJson(new URL('.well-known/openid-configuration', base));
    if (document['issuer'] !== this.#issuer) throw new Error(`it calls itself ${JSON.stringify(document['issuer'])}`);
    const url = URL.parse(String(document['jwks_uri']));
    const local = new URL(this.#issuer).protocol === 'http:' && isLoopbackHost(url?.hostname ?? '');
    if (url?.protocol !== 'https:' && !local) throw new Error('its jwks_uri is no https URL');
    const keys = await fetchJson(url as URL);
    if (!Array.isArray(keys['keys'])) throw new Error('its jwks_uri has no list of keys');
    return { keys: keys['keys'] as JSONWebKeySet['keys'] };
  }
}

async function fetchJson(url: URL): Promise<Readonly<Record<string, unknown>>> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } });
  if (!response.ok || response.body === null) throw new Error(`${url.href} answers ${String(response.status)}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > DOCUMENT_MAX_BYTES) throw new Error(`${url.href} is too long`);
    chunks.push(chunk);
  }
  const document: unknown = JSON.parse(Buffer.concat(chunks).toString());
  if (typeof document === 'object' && document !== null) return document as Readonly<Record<string, unknown>>;
  throw new Error(`${url.href} is no document`);
}
