/** What proves to a registry who we are. Which of the three a registry takes is the registry's choice. */
export type Credential =
  | { readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, with which the token server gives access tokens. */
  | { readonly identityToken: string }
  /** A bearer token that goes to the registry as it is. */
  | { readonly registryToken: string };

export interface CredentialQuery {
  readonly signal?: AbortSignal | undefined;
  /** The repository asked about, for sources that keep credentials for parts of a registry: `team/app`. */
  readonly path?: string | undefined;
}

/** Where a registry client finds credentials. */
export interface CredentialSource {
  /**
   * The credential for a registry host with its port, or `undefined`: the client then goes on without.
   *
   * @param domain - as in a {@link Reference}: `docker.io`, `localhost:5000`
   */
  credentialFor(domain: string, options?: CredentialQuery): Promise<Credential | undefined>;
}
