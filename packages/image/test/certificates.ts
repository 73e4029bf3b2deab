import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of one certificate, and their text. */
export interface TestCertificate {
  readonly keyFile: string;
  readonly certFile: string;
  readonly key: string;
  readonly cert: string;
}

const openssl = (...args: readonly string[]): void => {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

const read = (dir: string, name: string): TestCertificate => {
  const [keyFile, certFile] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  return { keyFile, certFile, key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
};

/** A certificate authority that nobody trusts yet. */
export const makeAuthority = (dir: string, name: string = 'ca'): TestCertificate => {
  const out = ['-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.crt`)];
  openssl('req', '-x509', '-sha256', '-days', '30', '-subj', `/CN=test ${name}`, ...NEW_KEY, ...out);
  return read(dir, name);
};

/** A certificate for its name, `localhost` and 127.0.0.1, for servers and clients, signed by the authority. */
export const makeCertificate = (dir: string, authority: TestCertificate, name: string = 'server'): TestCertificate => {
  const [key, request, extensions] = [`${name}.key`, `${name}.csr`, `${name}.ext`].map((file) => join(dir, file));
  if (key === undefined || request === undefined || extensions === undefined) throw new Error('unreachable');
  openssl('req', '-new', '-subj', `/CN=${name}`, ...NEW_KEY, '-keyout', key, '-out', request);
  writeFileSync(
    extensions,
    `subjectAltName=DNS:${name},DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n`,
  );
  const signer = ['-CA', authority.certFile, '-CAkey', authority.keyFile, '-CAcreateserial'];
  const out = ['-out', join(dir, `${name}.crt`), '-extfile', extensions];
  openssl('x509', '-req', '-sha256', '-days', '30', '-in', request, ...signer, ...out);
  return read(dir, name);
};
