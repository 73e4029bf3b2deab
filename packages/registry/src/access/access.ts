import type { IncomingMessage } from 'node:http';

export type Action = 'pull' | 'push' | 'delete';

/** One thing that a request has to be allowed to do. */
export type Need =
  | {
      readonly resource: 'repository';
      readonly name: string;
      readonly actions: readonly Action[];
      /** It goes without: a mount becomes an upload. Who may do it is still told to come with a token that says so. */
      readonly optional?: boolean | undefined;
    }
  /** To list repositories; the list has only those that one may pull from. */
  | { readonly resource: 'catalog' }
  /** To be somebody that the registry knows, or anonymous where it lets anonymous clients do anything at all. */
  | { readonly resource: 'registry' };

/** Who asks. */
export interface Identity {
  /** The name of an account; undefined: anonymous. */
  readonly account: string | undefined;
  /** Whether it may pull from a repository: what lists show, and where mounts may come from. */
  mayPull(name: string): boolean;
  /** Whether it may pull from every repository, whatever its name. */
  readonly mayPullAll: boolean;
}

/** Says who asks, and whether they may. */
export interface AccessControl {
  /**
   * @throws {@link RegistryError} `UNAUTHORIZED` with `WWW-Authenticate`: with (other) credentials it may be allowed;
   *   `DENIED`: these credentials are known, and don't do
   */
  authorize(request: IncomingMessage, needs: readonly Need[]): Promise<Identity>;
}

/** What everybody is where there is no access control. */
export const EVERYBODY: Identity = { account: undefined, mayPull: () => true, mayPullAll: true };
