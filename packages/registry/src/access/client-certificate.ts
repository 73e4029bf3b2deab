import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

import { isAccountName } from './htpasswd.ts';
import type { Refused } from './jwt.ts';
import type { ClientCertificateOptions } from './options.ts';
import type { Actor } from './rules.ts';

const KINDS = { dns: 'DNS', email: 'email', uri: 'URI' } as const;

/**
 * Who a connection's client certificate is for.
 *
 * @returns undefined when there is none; why not, when TLS doesn't vouch for it, or it names nobody
 */
export function certificateActor(
  request: IncomingMessage,
  options: ClientCertificateOptions,
): Actor | Refused | undefined {
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  if (!socket.authorized)
    return { refused: `the client certificate is not trusted: ${String(socket.authorizationError)}` };
  // A connection can outlive it.
  if (certificate.validToDate.getTime() < Date.now()) return { refused: 'the client certificate has expired' };
  const { account: kind = 'cn', prefix = '' } = options;
  const name = kind === 'cn' ? commonName(certificate.subject) : onlyName(certificate.subjectAltName, KINDS[kind]);
  const account = `${prefix}${name ?? ''}`;
  if (name === undefined || name === '' || !isAccountName(account)) {
    return { refused: `the client certificate has not just one ${kind} that could be an account` };
  }
  return { account, groups: [] };
}

/**
 * `subject` has a line for each part; parts that are one are joined by plus signs. What is odd is
 * escaped with backslashes; it and what is joined are nobody's name.
 */
export function commonName(subject: string): string | undefined {
  const names = subject.split('\n').filter((line) => line.startsWith('CN='));
  const [name] = names;
  return names.length === 1 && name !== undefined && !/\\| \+ /.test(name) ? name.slice('CN='.length) : undefined;
}

/** Alternative names are `DNS:a, URI:b`; one with a comma or a quote in it comes in quotes, and is nobody's name. */
export function onlyName(subjectAltName: string | undefined, kind: string): string | undefined {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return undefined;
  const names = subjectAltName.split(', ').filter((entry) => entry.startsWith(`${kind}:`));
  const [name] = names;
  return names.length === 1 ? name?.slice(kind.length + 1) : undefined;
}
