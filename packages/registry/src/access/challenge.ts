import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

import { RegistryError } from '../errors.ts';

/** A host name, an IPv4 address or an IPv6 one in brackets, perhaps with a port: nothing that could end a quoted string. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/**
 * Where a request's client finds the token server: at the host that it asked for, by the scheme that it came by.
 *
 * @throws {@link RegistryError} status 400: its `Host` is no host
 */
export function realmOf(request: IncomingMessage): string {
  const host = request.headers.host ?? '';
  if (!HOST.test(host)) throw new RegistryError('UNSUPPORTED', 'malformed Host header', { status: 400 });
  return `${request.socket instanceof TLSSocket ? 'https' : 'http'}://${host}/token`;
}

export interface BearerChallenge {
  readonly realm: string;
  readonly service: string;
  readonly scope: string;
  readonly error: 'invalid_token' | 'insufficient_scope' | undefined;
}

/** @see https://distribution.github.io/distribution/spec/auth/token/#how-to-authenticate */
export const formatBearer = ({ realm, service, scope, error }: BearerChallenge): string =>
  [
    `Bearer realm="${realm}"`,
    `service="${service}"`,
    ...(scope === '' ? [] : [`scope="${scope}"`]),
    ...(error === undefined ? [] : [`error="${error}"`]),
  ].join(',');

/** @see https://www.rfc-editor.org/rfc/rfc7617 */
export const BASIC = 'Basic realm="registry", charset="UTF-8"';
