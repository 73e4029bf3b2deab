import type { Endpoint } from '../server/endpoint.ts';
import type { AccessControl } from './access.ts';
import type { AccessOptions, OpenAccessOptions } from './options.ts';

/** Access control that is at work: it watches files and keeps keys. */
export interface OpenAccess extends AsyncDisposable {
  readonly access: AccessControl;
  /** The token server, where there is one. */
  readonly endpoints: readonly Endpoint[];
  /** Whether client certificates make accounts, so that TLS must ask for them. */
  readonly clientCertificates: boolean;
  close(): Promise<void>;
}

/**
 * Reads keys and accounts, and begins to control access.
 *
 * @throws {@link RegistryConfigError} an option or a file is wrong; nothing is left open then
 * @example
 * await using opened = await openAccessControl({ accounts: { htpasswdFile: 'accounts' }, tokens: {} });
 * createRegistry({ storage, access: opened.access, endpoints: opened.endpoints });
 */
export declare function openAccessControl(options: AccessOptions, open?: OpenAccessOptions): Promise<OpenAccess>;
