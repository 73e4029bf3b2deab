import type { Action } from './access.ts';

/** Who may do what where. Rules only ever allow; what no rule allows is refused. */
export interface AccessRule {
  /** Patterns of names: `team/app`, `team/*`, `team/**`, `**`. */
  readonly repositories: readonly string[];
  /** Accounts, or patterns of them; `*` by itself is every account. */
  readonly accounts?: readonly string[] | undefined;
  /** Groups, or patterns of them: those of `groups` and those that an issuer's token names. */
  readonly groups?: readonly string[] | undefined;
  /** Whether it is for clients without an account too. Default false. */
  readonly anonymous?: boolean | undefined;
  readonly actions: readonly Action[];
}

/** Accounts with passwords. */
export interface AccountOptions {
  /** A file of `name:hash` lines, as `htpasswd -nbB` writes them: bcrypt only. Read again when it changes. */
  readonly htpasswdFile: string;
}

/** A token server of our own, at `/token`. */
export interface TokenOptions {
  /** What tokens are for; processes that share a key share it too. Default `tsc-registry`. */
  readonly service?: string | undefined;
  /** Who they are from. Default: `service`. */
  readonly issuer?: string | undefined;
  /**
   * An EC key on P-256 in PEM that several processes may share, made when it isn't there. Without it, the key is made at
   * start and dies with the process, and there are no refresh tokens.
   */
  readonly keyFile?: string | undefined;
  /** The URL of `/token`, where clients reach it by another name or scheme than they reach `/v2/` by: behind a proxy. */
  readonly realm?: string | undefined;
  /** How long a token is good. Default 300, at least 60. */
  readonly lifetimeSeconds?: number | undefined;
  /** How long a refresh token is good: it ends with its account's password too. Default 30 days. */
  readonly refreshLifetimeSeconds?: number | undefined;
}

/** Somebody else's token server, as docker-registry's `auth.token` knows it: what its tokens grant is what one may do. */
export interface DelegatedTokenOptions {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** PEM: certificates or public keys, any of which may have signed. Nothing that comes with a token is trusted. */
  readonly publicKeysFile: string;
}

/** An OpenID Connect issuer whose tokens are accepted as bearer tokens, and as password of the user name `oidc`. */
export interface OidcOptions {
  /** `https://token.actions.githubusercontent.com`; plain HTTP on loopback only. */
  readonly issuer: string;
  /** What the tokens must be made out to. */
  readonly audience: string;
  /**
   * What the tokens must say besides, by claim, as patterns: `{ repository_owner: ['acme'] }`. `{}` lets in everybody that
   * the issuer knows: at a public one, the whole world.
   */
  readonly claims: Readonly<Record<string, readonly string[]>>;
  /** The claim that names the account. Default `sub`. */
  readonly accountClaim?: string | undefined;
  /** What the names of accounts and groups begin with. Default: the issuer's host and `:`, so that nobody is mistaken. */
  readonly prefix?: string | undefined;
  /** The claim with groups: a text or a list of them. Default: none. */
  readonly groupsClaim?: string | undefined;
  /** How wrong the issuer's clock or ours may be. Default 30. */
  readonly clockSkewSeconds?: number | undefined;
}

/** Accounts by client certificate; TLS says which authorities vouch for them. */
export interface ClientCertificateOptions {
  /** Where the account is found: the subject's CN, or the only name of a kind; `uri` is SPIFFE's. Default `cn`. */
  readonly account?: 'cn' | 'dns' | 'email' | 'uri' | undefined;
  /** What the account's name begins with. Default: nothing. */
  readonly prefix?: string | undefined;
}

/** Who is let in by what, and what they may do: plain data. */
export interface AccessOptions {
  readonly accounts?: AccountOptions | undefined;
  /**
   * Default: no tokens; clients send their password with each request. They are needed where anonymous clients are let in
   * beside those with passwords: Docker's can't do both otherwise.
   */
  readonly tokens?: TokenOptions | undefined;
  readonly delegatedTokens?: DelegatedTokenOptions | undefined;
  readonly oidc?: readonly OidcOptions[] | undefined;
  readonly clientCertificates?: ClientCertificateOptions | undefined;
  /** Members of groups, by group. */
  readonly groups?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Default: every account may do everything. */
  readonly rules?: readonly AccessRule[] | undefined;
  /** What everybody may do everywhere, with or without account. Default: nothing. */
  readonly anonymous?: readonly Action[] | undefined;
}

/** What isn't data. */
export interface OpenAccessOptions {
  /** Is told what goes wrong later: a file that was changed for the worse, an issuer that can't be reached. Must not throw. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
  /** How often files are looked at for changes. Default 2000. */
  readonly reloadIntervalMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
