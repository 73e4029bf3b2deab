import type { JSONWebKeySet, JWTPayload } from 'jose';

import { compilePatterns } from '../patterns.ts';
import { isAccountName } from './htpasswd.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { UNKNOWN_KEY, verifyJwt } from './jwt.ts';
import type { Refused } from './jwt.ts';
import type { OidcOptions } from './options.ts';
import type { Actor } from './rules.ts';
import { readGroups } from './token-claims.ts';

/** Public keys only: a shared secret can't be told from a public key by its bytes. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const CLOCK_SKEW_SECONDS = 30;

/** Whether a claim is what was configured: one of a list's entries may be it. Texts, numbers and booleans are compared. */
function fits(claim: unknown, matches: (text: string) => boolean): boolean {
  if (Array.isArray(claim)) return claim.some((entry) => fits(entry, matches));
  return ['string', 'number', 'boolean'].includes(typeof claim) && matches(String(claim));
}

/** An OpenID Connect issuer that vouches for accounts. */
export class OidcIssuer {
  readonly issuer: string;
  readonly #options: OidcOptions;
  readonly #keys: IssuerKeys;
  readonly #prefix: string;
  readonly #claims: readonly (readonly [string, (text: string) => boolean])[];

  constructor(options: OidcOptions, onFailure: ((failure: unknown) => void) | undefined) {
    this.issuer = options.issuer;
    this.#options = options;
    this.#keys = new IssuerKeys(options.issuer, onFailure);
    this.#prefix = options.prefix ?? `${new URL(options.issuer).host}:`;
    this.#claims = Object.entries(options.claims).map(([claim, patterns]) => [claim, compilePatterns(patterns)]);
  }

  /** @throws {@link RegistryError} status 503: the issuer's keys can't be had */
  async verify(token: string): Promise<Actor | Refused> {
    const keys = await this.#keys.current();
    const claims = await this.#verifyWith(token, keys);
    if (!('refused' in claims) || claims['refused'] !== UNKNOWN_KEY) return this.#actorOf(claims);
    // Issuers change their keys, and don't say so.
    const newer = await this.#keys.newerThan(keys);
    return newer === undefined ? (claims as Refused) : this.#actorOf(await this.#verifyWith(token, newer));
  }

  async #verifyWith(token: string, keys: JSONWebKeySet): Promise<JWTPayload | Refused> {
    return verifyJwt(token, await this.#keys.setOf(keys), {
      issuer: this.issuer,
      audience: this.#options.audience,
      algorithms: ALGORITHMS,
      clockTolerance: this.#options.clockSkewSeconds ?? CLOCK_SKEW_SECONDS,
    });
  }

  #actorOf(claims: JWTPayload | Refused): Actor | Refused {
    if (claims.refused !== undefined) return claims as Refused;
    const payload = claims as JWTPayload;
    const wrong = this.#claims.find(([claim, matches]) => !fits(ownClaim(payload, claim), matches));
    if (wrong !== undefined) return { refused: `the token's claim ${wrong[0]} is not one that is let in` };
    const { accountClaim = 'sub', groupsClaim } = this.#options;
    const name = ownClaim(payload, accountClaim);
    const account = `${this.#prefix}${String(name)}`;
    if (typeof name !== 'string' || name === '' || !isAccountName(account)) {
      return { refused: `the token's claim ${accountClaim} names no account` };
    }
    const groups = groupsClaim === undefined ? [] : readGroups(ownClaim(payload, groupsClaim));
    return { account, groups: groups.map((group) => `${this.#prefix}${group}`) };
  }
}

const ownClaim = (claims: JWTPayload, name: string): unknown =>
  Object.hasOwn(claims, name) ? claims[name] : undefined;
