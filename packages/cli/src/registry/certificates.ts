import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

import { failed } from '../errors.ts';

const PEM = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

/**
 * Makes this process trust those certificate authorities that other programs of the machine trust: the system's, which
 * are added to Node's own, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` alone. Node itself reads neither.
 */
export function trustCertificates(environment: Readonly<Record<string, string | undefined>>): void {
  const file = environment['SSL_CERT_FILE'] ?? '';
  const dirs = (environment['SSL_CERT_DIR'] ?? '').split(':').filter((dir) => dir !== '');
  if (file === '' && dirs.length === 0) {
    setDefaultCACertificates([...getCACertificates('default'), ...getCACertificates('system')]);
    return;
  }
  const texts = [...(file === '' ? [] : [attempt(file, () => readFileSync(file, 'utf8'))]), ...dirs.flatMap(textsIn)];
  attempt([file, ...dirs].join(' '), () => setDefaultCACertificates(texts.flatMap((text) => text.match(PEM) ?? [])));
}

/** A directory of certificates has other things in it, too, and links that lead nowhere. */
const textsIn = (dir: string): readonly string[] =>
  attempt(dir, () => readdirSync(dir)).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? [readFileSync(path, 'latin1')] : [];
  });

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const why = Error.isError(error) ? error.message : String(error);
    throw failed(`cannot take certificates from ${path}: ${why}`, error);
  }
}
