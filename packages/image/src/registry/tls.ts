import { readFile } from 'node:fs/promises';
import { connect, getCACertificates, type ConnectionOptions } from 'node:tls';

import { ImageError, quote } from '../errors.ts';
import type { RegistryHost } from './registries-config.ts';

export type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>;

const pemOf = async (pem: string, member: string): Promise<string> => {
  if (pem.includes('-----BEGIN ')) return pem;
  try {
    const text = await readFile(pem, 'utf8');
    if (text.includes('-----BEGIN ')) return text;
  } catch (error) {
    const { code = 'unknown error' } = error as { readonly code?: string };
    throw new ImageError('REGISTRY_CONFIG_INVALID', `cannot read ${member} ${quote(pem)}: ${code}`, { path: pem });
  }
  throw new ImageError('REGISTRY_CONFIG_INVALID', `${member} ${quote(pem)} is not PEM text`, { path: pem });
};

/**
 * What a host's configuration means for TLS; reads the files that it names.
 *
 * @throws {@link ImageError} `REGISTRY_CONFIG_INVALID`
 */
export const tlsOptions = async (host: RegistryHost | undefined): Promise<TlsOptions> => {
  const options: TlsOptions = {};
  if (host?.insecure === true) options.rejectUnauthorized = false;
  if (host?.ca !== undefined) options.ca = [...getCACertificates('default'), await pemOf(host.ca, 'ca')];
  if (host?.clientCertificate !== undefined) options.cert = await pemOf(host.clientCertificate, 'clientCertificate');
  if (host?.clientKey !== undefined) options.key = await pemOf(host.clientKey, 'clientKey');
  return options;
};

const PROBE_MAX_MS = 5000;
/** What OpenSSL says where the other side answers the handshake with text. */
const NO_TLS: ReadonlySet<unknown> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);

export interface TlsProbe {
  readonly hostname: string;
  /** `undefined` where none is named: then nobody at 443 means HTTP at 80. */
  readonly port: number | undefined;
}

/**
 * Whether a server at this machine wants plain HTTP, by a TLS handshake in which nothing is sent. A server that can't be
 * told is one that speaks TLS.
 */
export const wantsPlainHttp = async ({ hostname, port }: TlsProbe): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port ?? 443,
    rejectUnauthorized: false,
  });
  socket.setTimeout(PROBE_MAX_MS, () => resolve(false));
  socket.once('secureConnect', () => resolve(false));
  socket.once('error', (error: Error & { readonly code?: unknown }) => {
    resolve(NO_TLS.has(error.code) || (port === undefined && error.code === 'ECONNREFUSED'));
  });
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
};
