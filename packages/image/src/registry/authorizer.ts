import { parseChallenges, type Challenge } from './challenge.ts';
import type { Credential, CredentialSource } from './credentials.ts';
import { SharedCalls } from './shared-calls.ts';
import {
  basic,
  fetchToken,
  isTrustedRealm,
  realmOf,
  refuseRealm,
  type RealmRules,
  type SendToken,
  type Token,
} from './token.ts';

/** What a request wants to be allowed. */
export interface Need {
  /** The repository whose credential is used; `''` where it is about the registry. */
  readonly repository: string;
  /** `repository:library/debian:pull`. */
  readonly scopes: readonly string[];
}

export interface AuthorizerOptions {
  readonly credentials: CredentialSource | undefined;
  readonly rules: RealmRules;
  /** How a realm's host is configured. */
  readonly isPlainHttp: (host: string) => boolean;
  readonly send: SendToken;
}

/** `repository:a:pull` and `repository:a:pull,push` are one scope: `repository:a:pull,push`. */
export const unionScopes = (scopes: readonly string[]): readonly string[] => {
  const actions = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':');
    if (colon < 0) continue;
    const known = actions.get(scope.slice(0, colon)) ?? new Set();
    actions.set(scope.slice(0, colon), known);
    for (const action of scope.slice(colon + 1).split(',')) known.add(action);
  }
  return [...actions].map(([resource, set]) => `${resource}:${[...set].join(',')}`);
};

interface Rejection {
  readonly headers: readonly string[];
  /** What was sent and not taken. */
  readonly authorization: string | undefined;
}

/** What a registry wants to see in `Authorization`. It is given to that registry's origin only. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  /** The registry's last one: with it, tokens for other repositories are got without being turned away first. */
  #challenge: Challenge | undefined;
  readonly #basic = new Map<string, string>();
  readonly #tokens = new Map<string, Token>();
  readonly #running = new SharedCalls<Token>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The header for a request, as far as the registry has said what it wants. */
  async authorization(need: Need, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (this.#challenge?.scheme === 'basic')
      return this.#basic.get(need.repository) ?? (await this.#readBasic(need, signal));
    if (this.#challenge?.scheme === 'bearer') return await this.#bearer(this.#challenge, need, signal);
    return undefined;
  }

  /** The header after a 401, or `undefined` where nothing better than what was sent is to be had. */
  async answer(rejection: Rejection, need: Need, signal: AbortSignal | undefined): Promise<string | undefined> {
    const offered = parseChallenges(rejection.headers);
    const challenge =
      offered.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm')) ??
      offered.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined) return undefined;
    this.#challenge = challenge;
    this.#basic.delete(need.repository);
    const scope = challenge.parameters.get('scope')?.split(' ') ?? [];
    const wider = { ...need, scopes: unionScopes([...need.scopes, ...scope]) };
    this.#forget(rejection.authorization);
    const header =
      challenge.scheme === 'basic'
        ? await this.#readBasic(need, signal)
        : await this.#bearer(challenge, wider, signal, keyOf(need));
    return header === rejection.authorization ? undefined : header;
  }

  #forget(authorization: string | undefined): void {
    for (const [key, token] of this.#tokens) {
      if (`Bearer ${token.value}` === authorization) this.#tokens.delete(key);
    }
  }

  async #credential(need: Need, signal: AbortSignal | undefined): Promise<Credential | undefined> {
    const path = need.repository === '' ? undefined : need.repository;
    return await this.#options.credentials?.credentialFor(this.#options.rules.domain, { signal, path });
  }

  async #readBasic(need: Need, signal: AbortSignal | undefined): Promise<string | undefined> {
    const credential = await this.#credential(need, signal);
    if (credential === undefined || !('username' in credential)) return undefined;
    const header = basic(credential);
    this.#basic.set(need.repository, header);
    return header;
  }

  // eslint-disable-next-line max-params -- private, and each is a thing of its own
  async #bearer(challenge: Challenge, need: Need, signal: AbortSignal | undefined, key = keyOf(need)): Promise<string> {
    const known = this.#tokens.get(key);
    if (known !== undefined && known.expiresMs > performance.now()) return `Bearer ${known.value}`;
    const token = await this.#running.share([key, ...need.scopes].join(' '), signal, (shared) =>
      this.#fetch(challenge, need, shared),
    );
    for (const [old, { expiresMs }] of this.#tokens) {
      if (expiresMs <= performance.now()) this.#tokens.delete(old);
    }
    this.#tokens.set(key, token);
    return `Bearer ${token.value}`;
  }

  async #fetch(challenge: Challenge, need: Need, signal: AbortSignal): Promise<Token> {
    const credential = await this.#credential(need, signal);
    if (credential !== undefined && 'registryToken' in credential) {
      return { value: credential.registryToken, expiresMs: 0 };
    }
    const { rules, send, isPlainHttp } = this.#options;
    const host = URL.parse(challenge.parameters.get('realm') ?? '')?.host ?? '';
    const realm = realmOf(challenge, { ...rules, plainHttp: isPlainHttp(host) });
    if (credential !== undefined && !isTrustedRealm(realm, rules)) throw refuseRealm(realm, rules);
    const service = challenge.parameters.get('service');
    return await fetchToken(send, { realm, service, scopes: need.scopes, credential, signal });
  }
}

const keyOf = ({ repository, scopes }: Need): string => [repository, ...scopes.toSorted()].join(' ');
