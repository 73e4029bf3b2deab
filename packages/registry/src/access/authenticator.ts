import type { IncomingMessage } from 'node:http';

import { parseAuthorization } from './authorization.ts';
import { certificateActor } from './client-certificate.ts';
import type { DelegatedTokens } from './delegated-tokens.ts';
import { claimedIssuer, looksLikeJwt } from './jwt.ts';
import type { Refused } from './jwt.ts';
import type { OidcIssuer } from './oidc.ts';
import type { ClientCertificateOptions } from './options.ts';
import type { OwnTokens } from './own-tokens.ts';
import type { Passwords } from './passwords.ts';
import { ANONYMOUS } from './rules.ts';
import type { Actor } from './rules.ts';
import type { Scope } from './scopes.ts';

/** The user name whose password is the token of an OpenID Connect issuer. */
export const OIDC_USER = 'oidc';

/** Who sent a request, and what their token narrows them to. */
export interface Caller {
  readonly actor: Actor;
  /** undefined: it wasn't a token */
  readonly scopes: readonly Scope[] | undefined;
}

/** The ways to be somebody. */
export interface AuthenticatorParts {
  readonly passwords: Passwords | undefined;
  readonly tokens: OwnTokens | DelegatedTokens | undefined;
  readonly issuers: readonly OidcIssuer[];
  readonly certificates: ClientCertificateOptions | undefined;
}

/** Finds out who sends a request; what they may do is another question. */
export class Authenticator {
  readonly #parts: AuthenticatorParts;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
  }

  /** Whether there is anything that a client can send in `Authorization: Basic`. */
  get takesPasswords(): boolean {
    return this.#parts.passwords !== undefined || this.#parts.issuers.length > 0;
  }

  /** A request's `Authorization` decides, then its connection's certificate. Without both, it is anonymous. */
  async identify(request: IncomingMessage): Promise<Caller | Refused> {
    const authorization = parseAuthorization(request.headers.authorization);
    switch (authorization.type) {
      case 'none':
        return direct(this.#byCertificate(request));
      case 'basic':
        return direct(await this.verifyPassword(authorization.user, authorization.password));
      case 'bearer':
        return this.#verifyToken(authorization.token);
      case 'malformed':
        return { refused: 'malformed Authorization header' };
    }
  }

  /** @throws {@link RegistryError} 429, 503: it can't be found out now */
  async verifyPassword(user: string, password: string): Promise<Actor | Refused> {
    const { issuers, passwords } = this.#parts;
    if (issuers.length > 0 && user === OIDC_USER && looksLikeJwt(password)) {
      return (await this.#byIssuer(password)) ?? { refused: 'no issuer of this token is known' };
    }
    if ((await passwords?.verify(user, password)) === true) return { account: user, groups: [] };
    return { refused: 'wrong user name or password' };
  }

  #byCertificate(request: IncomingMessage): Actor | Refused {
    const { certificates } = this.#parts;
    return (certificates === undefined ? undefined : certificateActor(request, certificates)) ?? ANONYMOUS;
  }

  async #verifyToken(token: string): Promise<Caller | Refused> {
    const actor = await this.#byIssuer(token);
    if (actor !== undefined) return direct(actor);
    const grant = await this.#parts.tokens?.verify(token);
    return grant ?? { refused: 'bearer tokens are not accepted' };
  }

  async #byIssuer(token: string): Promise<Actor | Refused | undefined> {
    const claimed = claimedIssuer(token);
    return this.#parts.issuers.find(({ issuer }) => issuer === claimed)?.verify(token);
  }
}

const direct = (found: Actor | Refused): Caller | Refused =>
  'refused' in found ? found : { actor: found, scopes: undefined };
