import { randomUUID } from 'node:crypto';

import { RegistryError } from '../errors.ts';
import { TOKEN_MAX_LENGTH, verifyJwt } from './jwt.ts';
import type { Refused } from './jwt.ts';
import type { TokenOptions } from './options.ts';
import type { Actor } from './rules.ts';
import { readActor, readScopes } from './token-claims.ts';
import type { Scope } from './scopes.ts';
import type { TokenKey } from './token-key.ts';

const DEFAULT_SERVICE = 'tsc-registry';
const DEFAULT_LIFETIME_SECONDS = 300;
const DEFAULT_REFRESH_SECONDS = 30 * 24 * 3600;
/** Between processes that share a key. */
const CLOCK_SKEW_SECONDS = 5;
const REMEMBER_MAX = 1000;

/** The two kinds differ in `typ`, so that neither can be used as the other. */
const ACCESS = 'JWT';
const REFRESH = 'refresh+jwt';

/** What a token of ours says. */
export interface Grant {
  readonly actor: Actor;
  readonly scopes: readonly Scope[];
}

export interface RefreshGrant {
  readonly account: string;
  /** Of the password that it was given for. */
  readonly fingerprint: string;
}

/** Makes tokens, and knows them again: those of every process with the same key, service and issuer. */
export class OwnTokens {
  readonly service: string;
  readonly realm: string | undefined;
  readonly lifetimeSeconds: number;
  /** Whether tokens outlive this process, so that something can be promised for weeks. */
  readonly lasting: boolean;
  readonly #refreshSeconds: number;
  readonly #issuer: string;
  readonly #key: TokenKey;
  /** Those that were verified, until they expire: a client shows one with each of its requests. */
  readonly #known = new Map<string, { readonly grant: Grant; readonly expiresMs: number }>();

  constructor(key: TokenKey, options: TokenOptions) {
    this.#key = key;
    this.service = options.service ?? DEFAULT_SERVICE;
    this.realm = options.realm;
    this.lasting = options.keyFile !== undefined;
    this.lifetimeSeconds = options.lifetimeSeconds ?? DEFAULT_LIFETIME_SECONDS;
    this.#refreshSeconds = options.refreshLifetimeSeconds ?? DEFAULT_REFRESH_SECONDS;
    this.#issuer = options.issuer ?? this.service;
  }

  /** @throws {@link RegistryError} status 400: with so many scopes it would be longer than headers may be */
  async issue({ actor, scopes }: Grant): Promise<string> {
    const groups = actor.groups.length === 0 ? {} : { groups: actor.groups };
    const token = await this.#sign(ACCESS, { access: scopes, ...groups }, actor.account ?? '');
    if (token.length <= TOKEN_MAX_LENGTH) return token;
    throw new RegistryError('UNSUPPORTED', 'too many scopes for one token', { status: 400 });
  }

  async verify(token: string): Promise<Grant | Refused> {
    const known = this.#known.get(token);
    if (known !== undefined && known.expiresMs > Date.now()) return known.grant;
    const claims = await this.#verify(token, ACCESS);
    if ('refused' in claims) return claims as Refused;
    const scopes = readScopes(claims['access']);
    const actor = readActor(claims.sub, claims['groups']);
    if (scopes === undefined || actor === undefined) return { refused: 'the token is malformed' };
    const grant: Grant = { actor, scopes };
    this.#remember(token, grant, (claims.exp ?? 0) * 1000);
    return grant;
  }

  #remember(token: string, grant: Grant, expiresMs: number): void {
    this.#known.set(token, { grant, expiresMs });
    for (const old of this.#known.keys()) {
      if (this.#known.size <= REMEMBER_MAX) break;
      this.#known.delete(old);
    }
  }

  issueRefresh({ account, fingerprint }: RefreshGrant): Promise<string> {
    return this.#sign(REFRESH, { password: fingerprint }, account);
  }

  async verifyRefresh(token: string): Promise<RefreshGrant | Refused> {
    const claims = await this.#verify(token, REFRESH);
    if ('refused' in claims) return claims as Refused;
    const { sub: account, password: fingerprint } = claims;
    if (account === undefined || typeof fingerprint !== 'string') return { refused: 'the token is malformed' };
    return { account, fingerprint };
  }

  async #sign(
    typ: typeof ACCESS | typeof REFRESH,
    claims: Readonly<Record<string, unknown>>,
    account: string,
  ): Promise<string> {
    const { SignJWT } = await import('jose');
    const now = Math.floor(Date.now() / 1000);
    const { id, privateKey } = this.#key;
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ, kid: id })
      .setIssuer(this.#issuer)
      .setSubject(account)
      .setAudience(this.service)
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + (typ === ACCESS ? this.lifetimeSeconds : this.#refreshSeconds))
      .setJti(randomUUID())
      .sign(privateKey);
  }

  #verify(token: string, typ: typeof ACCESS | typeof REFRESH): ReturnType<typeof verifyJwt> {
    return verifyJwt(token, this.#key.publicKey, {
      issuer: this.#issuer,
      audience: this.service,
      algorithms: ['ES256'],
      typ,
      clockTolerance: CLOCK_SKEW_SECONDS,
      requiredClaims: ['nbf', 'iat', 'sub'],
    });
  }
}
