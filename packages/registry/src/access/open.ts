import type { KeyObject } from 'node:crypto';

import type { Endpoint } from '../server/endpoint.ts';
import type { AccessControl } from './access.ts';
import { Authenticator, OIDC_USER } from './authenticator.ts';
import { checkAccessOptions } from './checked-options.ts';
import { accessControl } from './control.ts';
import { DelegatedTokens, readPublicKeys } from './delegated-tokens.ts';
import { RegistryConfigError } from '../errors.ts';
import { HTPASSWD_OPTION, readHtpasswd } from './htpasswd.ts';
import type { Accounts } from './htpasswd.ts';
import { OidcIssuer } from './oidc.ts';
import type { AccessOptions, OpenAccessOptions } from './options.ts';
import { OwnTokens } from './own-tokens.ts';
import { Passwords } from './passwords.ts';
import { compileRules } from './rules.ts';
import { tokenEndpoint } from './token-endpoint.ts';
import { openTokenKey } from './token-key.ts';
import { watchFiles } from '../watched-files.ts';
import type { WatchOptions } from '../watched-files.ts';

const RELOAD_INTERVAL_MS = 2000;

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
export async function openAccessControl(options: AccessOptions, open: OpenAccessOptions = {}): Promise<OpenAccess> {
  open.signal?.throwIfAborted();
  const checked = checkAccessOptions(options);
  const { onFailure, reloadIntervalMs: intervalMs = RELOAD_INTERVAL_MS } = open;
  await using undo = new AsyncDisposableStack();
  const watch: WatchOptions = { intervalMs, onFailure };
  const passwords = await openPasswords(checked, watch, undo);
  const delegated = await openDelegatedTokens(checked, watch, undo);
  const tokens =
    checked.tokens === undefined
      ? undefined
      : new OwnTokens(await openTokenKey(checked.tokens.keyFile), checked.tokens);
  const authenticator = new Authenticator({
    passwords,
    tokens: tokens ?? delegated,
    issuers: (checked.oidc ?? []).map((issuer) => new OidcIssuer(issuer, onFailure)),
    certificates: checked.clientCertificates,
  });
  const rules = compileRules(checked);
  const held = undo.move();
  const close = (): Promise<void> => held.disposeAsync();
  return {
    access: accessControl({
      authenticator,
      rules: delegated === undefined ? rules : undefined,
      tokens: tokens ?? delegated,
    }),
    endpoints: tokens === undefined ? [] : [tokenEndpoint({ authenticator, tokens, passwords, rules })],
    clientCertificates: checked.clientCertificates !== undefined,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function openPasswords(
  { accounts, oidc = [] }: AccessOptions,
  watch: WatchOptions,
  undo: AsyncDisposableStack,
): Promise<Passwords | undefined> {
  if (accounts === undefined) return undefined;
  const { htpasswdFile: path } = accounts;
  const read = async (): Promise<Accounts> => {
    const found = await readHtpasswd(path);
    if (oidc.length === 0 || !found.has(OIDC_USER)) return found;
    const message = `${path}: the account "${OIDC_USER}" is for the tokens of issuers`;
    throw new RegistryConfigError('CONFIG_FILE_INVALID', message, { option: HTPASSWD_OPTION, path });
  };
  const file = undo.use(await watchFiles([path], read, watch));
  return undo.use(new Passwords(() => file.current));
}

async function openDelegatedTokens(
  { delegatedTokens }: AccessOptions,
  watch: WatchOptions,
  undo: AsyncDisposableStack,
): Promise<DelegatedTokens | undefined> {
  if (delegatedTokens === undefined) return undefined;
  const { publicKeysFile: path } = delegatedTokens;
  const read = (): Promise<readonly KeyObject[]> => readPublicKeys(path);
  const file = undo.use(await watchFiles([path], read, watch));
  return new DelegatedTokens(delegatedTokens, () => file.current);
}
