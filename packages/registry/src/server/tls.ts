import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';

import { watchFiles, withFile } from '../watched-files.ts';
import type { Watched, WatchOptions } from '../watched-files.ts';
import { RegistryConfigError } from '../errors.ts';

/** Files in PEM; read again when they change. */
export interface TlsOptions {
  /** The certificate, then those between it and its root. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Certificates of authorities whose clients are let in by certificate. Needed for `clientCertificates`. */
  readonly clientCaFile?: string | undefined;
  /** Certificates that those authorities have taken back. */
  readonly clientCrlFile?: string | undefined;
  /** Whether a client must have a certificate, or may have one. Default: it is not asked for one. */
  readonly clientCertificates?: 'required' | 'optional' | undefined;
  /** Default `TLSv1.2`. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
}

const invalid = (option: string, why: string): RegistryConfigError =>
  new RegistryConfigError('CONFIG_INVALID', `${option}: ${why}`, { option });

/** @throws {@link RegistryConfigError} `CONFIG_INVALID`: options that contradict each other */
export function checkTls({ clientCaFile, clientCertificates, clientCrlFile }: TlsOptions): void {
  if (clientCertificates !== undefined && clientCaFile === undefined) {
    throw invalid('tls.clientCertificates', 'add tls.clientCaFile, which says whose certificates they are');
  }
  if (clientCertificates === undefined && (clientCaFile ?? clientCrlFile) !== undefined) {
    throw invalid('tls.clientCaFile', "add tls.clientCertificates: 'required' or 'optional'");
  }
}

/**
 * Reads certificate and key, and sees to it that they belong together and are valid now.
 *
 * @throws {@link RegistryConfigError} `CONFIG_FILE_UNREADABLE`, `CONFIG_FILE_INVALID`
 */
async function readTls(options: TlsOptions): Promise<SecureContextOptions> {
  const { certFile, keyFile, clientCaFile, clientCrlFile, minVersion = 'TLSv1.2' } = options;
  const read = (path: string, option: string): Promise<Buffer> => withFile(path, `tls.${option}`, () => readFile(path));
  const context = {
    minVersion,
    cert: await read(certFile, 'certFile'),
    key: await read(keyFile, 'keyFile'),
    ...(clientCaFile === undefined ? {} : { ca: await read(clientCaFile, 'clientCaFile') }),
    ...(clientCrlFile === undefined ? {} : { crl: await read(clientCrlFile, 'clientCrlFile') }),
  };
  const certificate = checked(certFile, 'certFile', () => new X509Certificate(context.cert));
  const key = checked(keyFile, 'keyFile', () => createPrivateKey(context.key));
  if (!certificate.checkPrivateKey(key)) throw bad(keyFile, 'keyFile', `it is not the key of ${certFile}`);
  if (certificate.validToDate.getTime() < Date.now()) {
    throw bad(certFile, 'certFile', `it has expired, on ${certificate.validToDate.toISOString()}`);
  }
  if (clientCaFile !== undefined)
    checked(clientCaFile, 'clientCaFile', () => new X509Certificate(context.ca as Buffer));
  checked(certFile, 'certFile', () => createSecureContext(context));
  return context;
}

const bad = (path: string, option: string, why: string): RegistryConfigError =>
  new RegistryConfigError('CONFIG_FILE_INVALID', `${path}: ${why}`, { option: `tls.${option}`, path });

function checked<T>(path: string, option: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const why = Error.isError(cause) ? cause.message : String(cause);
    throw new RegistryConfigError('CONFIG_FILE_INVALID', `${path}: ${why}`, { option: `tls.${option}`, path, cause });
  }
}

/** Reads the files now, and after each change; `onChange` is told of what is good. A bad change is reported, and not used. */
export function watchTls(
  options: TlsOptions,
  onChange: (context: SecureContextOptions) => void,
  watch: WatchOptions,
): Promise<Watched<SecureContextOptions>> {
  const { certFile, keyFile, clientCaFile, clientCrlFile } = options;
  const paths = [certFile, keyFile, clientCaFile, clientCrlFile].filter((path) => path !== undefined);
  const make = async (): Promise<SecureContextOptions> => {
    const context = await readTls(options);
    onChange(context);
    return context;
  };
  return watchFiles(paths, make, watch);
}
