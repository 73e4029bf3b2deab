import type { Credential, CredentialQuery, CredentialSource } from './credentials.ts';

export interface CredentialFileOptions {
  /** Other files, read when the first has no credential; they are never written. */
  readonly fallbackPaths?: readonly string[] | undefined;
  /** Directories in which `docker-credential-…` programs are looked for, absolute. Default: none. */
  readonly helperDirs?: readonly string[] | undefined;
}

/** `~/.docker/config.json`, or the `auth.json` of podman and skopeo. */
export interface CredentialFile extends CredentialSource {
  readonly path: string;
  /** Keeps a credential: in the credential helper that the file names for the host, else in the file with mode 0600. */
  store(domain: string, credential: Credential, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Forgets it; `false` if there was none. */
  erase(domain: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<boolean>;
}

/** Nothing is read until a credential is asked for; a file that is not there has none. */
export const openCredentialFile = (path: string, options: CredentialFileOptions = {}): CredentialFile => ({
  path,
  credentialFor: (domain: string, query?: CredentialQuery) =>
    Promise.reject(new Error(`${domain} ${String(query?.path)} ${String(options.helperDirs)}`)),
  store: (domain) => Promise.reject(new Error(domain)),
  erase: (domain) => Promise.reject(new Error(domain)),
});
