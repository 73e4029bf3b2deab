import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, rootCertificates, setDefaultCACertificates } from 'node:tls';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { trustCertificates } from './certificates.ts';

const [first = '', second = '', third = ''] = rootCertificates;
const before = getCACertificates('default');
const fingerprints = (texts: readonly string[]): readonly string[] =>
  texts.map((text) => new X509Certificate(text).fingerprint256).toSorted();
const trusted = (): readonly string[] => fingerprints(getCACertificates('default'));

describe('certificate authorities', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsc-certificates-'));
  });
  afterEach(() => {
    setDefaultCACertificates(before);
    rmSync(dir, { recursive: true });
  });

  it("are the system's besides Node's own", () => {
    trustCertificates({});
    expect(trusted()).toEqual(expect.arrayContaining([...fingerprints(rootCertificates)]));
    trustCertificates({ SSL_CERT_FILE: '', SSL_CERT_DIR: '' });
    expect(trusted().length).toBeGreaterThanOrEqual(rootCertificates.length);
  });

  it('are those that the environment names, alone', () => {
    mkdirSync(join(dir, 'certs/sub'), { recursive: true });
    writeFileSync(join(dir, 'bundle.pem'), `# two of them\n${first}\n\n${second}\n`);
    writeFileSync(join(dir, 'certs/third.crt'), third);
    writeFileSync(join(dir, 'certs/README'), 'not a certificate');
    symlinkSync('nowhere', join(dir, 'certs/dangling'));
    trustCertificates({ SSL_CERT_FILE: join(dir, 'bundle.pem') });
    expect(trusted()).toEqual(fingerprints([first, second]));
    trustCertificates({ SSL_CERT_FILE: join(dir, 'bundle.pem'), SSL_CERT_DIR: join(dir, 'certs') });
    expect(trusted()).toEqual(fingerprints([first, second, third]));
  });

  it('that can not be read, or are none, are an error that names the file', () => {
    const path = join(dir, 'bundle.pem');
    expect(() => trustCertificates({ SSL_CERT_FILE: path })).toThrow(`cannot take certificates from ${path}: ENOENT`);
    writeFileSync(path, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(() => trustCertificates({ SSL_CERT_FILE: path })).toThrow(`cannot take certificates from ${path}: `);
  });
});
