import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of one certificate. */
export interface TestCertificate {
  readonly keyFile: string;
  readonly certFile: string;
}

const openssl = (...args: readonly string[]): void => {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

const filesOf = (dir: string, name: string): TestCertificate => ({
  keyFile: join(dir, `${name}.key`),
  certFile: join(dir, `${name}.crt`),
});

/** A certificate authority that nobody trusts yet. */
export function makeAuthority(dir: string, name: string): TestCertificate {
  const files = filesOf(dir, name);
  const out = ['-keyout', files.keyFile, '-out', files.certFile];
  openssl('req', '-x509', '-sha256', '-days', '30', '-subj', `/CN=${name}`, ...NEW_KEY, ...out);
  return files;
}

export interface CertificateOptions {
  readonly authority: TestCertificate;
  /** `/CN=alice/O=team` */
  readonly subject: string;
  /** `DNS:localhost,IP:127.0.0.1` */
  readonly names: string;
}

/** A certificate for servers and clients. */
export function makeCertificate(dir: string, name: string, options: CertificateOptions): TestCertificate {
  const files = filesOf(dir, name);
  const [request, extensions] = [join(dir, `${name}.csr`), join(dir, `${name}.ext`)];
  const subject = ['-multivalue-rdn', '-subj', options.subject];
  openssl('req', '-new', ...subject, ...NEW_KEY, '-keyout', files.keyFile, '-out', request);
  writeFileSync(extensions, `subjectAltName=${options.names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  const { certFile, keyFile } = options.authority;
  const signer = ['-CA', certFile, '-CAkey', keyFile, '-CAcreateserial'];
  openssl(
    ...['x509', '-req', '-sha256', '-days', '30', '-in', request, '-out', files.certFile, '-extfile', extensions],
    ...signer,
  );
  return files;
}

/** The list of certificates that an authority has taken back. */
export function makeRevocationList(
  dir: string,
  authority: TestCertificate,
  revoked: readonly TestCertificate[],
): string {
  const [config, index, list] = ['crl.conf', 'crl.index', 'revoked.crl'].map((file) => join(dir, file));
  if (config === undefined || index === undefined || list === undefined) throw new Error('unreachable');
  writeFileSync(index, '');
  writeFileSync(config, `[ca]\ndefault_ca=it\n[it]\ndatabase=${index}\ndefault_md=sha256\ndefault_crl_days=30\n`);
  const ca = ['ca', '-config', config, '-cert', authority.certFile, '-keyfile', authority.keyFile];
  for (const { certFile } of revoked) openssl(...ca, '-revoke', certFile);
  openssl(...ca, '-gencrl', '-out', list);
  return list;
}

export const read = ({ keyFile, certFile }: TestCertificate): { readonly key: Buffer; readonly cert: Buffer } => ({
  key: readFileSync(keyFile),
  cert: readFileSync(certFile),
});
