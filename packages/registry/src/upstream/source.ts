import type { RegistryClient, Repository } from '@tsc/image';

import { RegistryConfigError, RegistryError } from '../errors.ts';
import { isName } from '../names.ts';
import { compilePatterns } from '../patterns.ts';
import { domainOf, openUpstreamClient } from './client.ts';
import { isAway, refusalOf } from './failure.ts';
import type { Upstream } from './options.ts';
import { untilAborted } from './shared-calls.ts';

const RETRY = { attempts: 3, minDelayMs: 200, maxDelayMs: 2000 };
const CONNECT_MS = 5000;
const STALL_MS = 30_000;

const invalid = (option: string, why: string): RegistryConfigError =>
  new RegistryConfigError('CONFIG_INVALID', `invalid ${option}: ${why}`, { option });

const matcher = (option: string, patterns: readonly string[]): ((name: string) => boolean) => {
  if (patterns.includes('')) throw invalid(option, 'a pattern is empty');
  return compilePatterns(patterns);
};

/** A name here, and where it leads. */
export interface Located {
  readonly source: Source;
  readonly repository: Repository;
}

/** One upstream with its connections, and what is known of how it does. */
export class Source implements AsyncDisposable {
  readonly upstream: Upstream;
  readonly tagTtlMs: number;
  readonly absentTtlMs: number;
  readonly answerTimeoutMs: number;
  readonly #client: RegistryClient;
  readonly #domain: string;
  readonly #isAllowed: (name: string) => boolean;
  readonly #isDenied: (name: string) => boolean;
  readonly #awayMs: number;
  readonly #closing = new AbortController();
  #away: { readonly untilMs: number; readonly cause: unknown } | undefined;

  /** @throws {@link RegistryConfigError} `CONFIG_INVALID` */
  constructor(upstream: Upstream, userAgent: string) {
    const { prefix, remotePrefix = '' } = upstream;
    if (prefix !== '' && !isName(prefix)) throw invalid('prefix', `${JSON.stringify(prefix)} is no repository's name`);
    if (remotePrefix !== '' && !isName(remotePrefix))
      throw invalid('remotePrefix', `${JSON.stringify(remotePrefix)} is no repository's name`);
    this.upstream = upstream;
    this.tagTtlMs = upstream.tagTtlMs ?? 300_000;
    this.absentTtlMs = upstream.absentTtlMs ?? 10_000;
    this.answerTimeoutMs = upstream.answerTimeoutMs ?? 10_000;
    this.#awayMs = upstream.awayMs ?? 15_000;
    this.#isAllowed = matcher('allow', upstream.allow ?? ['**']);
    this.#isDenied = matcher('deny', upstream.deny ?? []);
    this.#domain = domainOf(upstream.registry);
    const timeouts = { connectMs: CONNECT_MS, headersMs: this.answerTimeoutMs, stallMs: STALL_MS };
    this.#client = openUpstreamClient(upstream, { retry: RETRY, timeouts, userAgent });
  }

  /** Aborts when the cache is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  has(name: string): boolean {
    const { prefix } = this.upstream;
    return prefix === '' || name.startsWith(`${prefix}/`);
  }

  /** Where a name that this upstream has leads. @throws {@link RegistryError} `DENIED`, `NAME_INVALID` */
  locate(name: string): Located {
    const { prefix, remotePrefix = '' } = this.upstream;
    const rest = prefix === '' ? name : name.slice(prefix.length + 1);
    const remote = remotePrefix === '' ? rest : `${remotePrefix}/${rest}`;
    if (!this.#isAllowed(remote) || this.#isDenied(remote)) {
      throw new RegistryError('DENIED', 'this cache is not configured to have this repository', { detail: { name } });
    }
    try {
      const place = { domain: this.#domain, path: remote, tag: undefined, digest: undefined };
      return { source: this, repository: this.#client.repository(place) };
    } catch (error) {
      throw refusalOf(error, prefix);
    }
  }

  /** Why upstream is better not asked now; undefined: it may be. */
  get away(): { readonly cause: unknown } | undefined {
    return this.#away !== undefined && this.#away.untilMs > performance.now() ? this.#away : undefined;
  }

  /** Asks upstream something that has an answer soon, or none. */
  async ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.answerTimeoutMs)]);
    try {
      const answer = await untilAborted(call(signal), signal);
      this.#away = undefined;
      return answer;
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** Takes note of a failure. */
  failed(cause: unknown): void {
    if (isAway(cause) && !this.#closing.signal.aborted)
      this.#away = { untilMs: performance.now() + this.#awayMs, cause };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the cache is closed'));
    await this.#client.close();
  }
}
