import { constants as access, readFileSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';

import type { CredentialFile, RegistriesConfig, RegistryClient } from '@tsc/image';

import { failed } from '../errors.ts';
import { version } from '../version.ts';
import { trustCertificates } from './certificates.ts';
import { credentialFallbackPaths, credentialPath, proxiesOf, registriesPaths } from './surroundings.ts';
import type { RegistrySurroundings } from './surroundings.ts';

const surroundings = (): RegistrySurroundings => ({
  environment: process.env,
  homeDir: homedir(),
  uid: process.getuid?.() ?? 0,
});

export interface RegistryAccess {
  /** Hosts that may show any certificate, for this command: `--insecure`. */
  readonly insecureDomains?: readonly string[] | undefined;
}

/**
 * The client of this command line: with the user's credentials, the machine's way to speak with registries, and the
 * proxies and certificates of the environment.
 */
export async function openRegistries({ insecureDomains = [] }: RegistryAccess = {}): Promise<RegistryClient> {
  const { openRegistryClient } = await import('@tsc/image');
  const here = surroundings();
  trustCertificates(here.environment);
  return openRegistryClient({
    credentials: await openCredentials(),
    registries: withInsecure(await readRegistries(here), insecureDomains),
    proxy: proxiesOf(here),
    userAgent: `tsc/${version}`,
  });
}

/** Opens the client for the length of `use`. */
export async function withRegistries<T>(
  use: (client: RegistryClient) => Promise<T>,
  options: RegistryAccess = {},
): Promise<T> {
  await using client = await openRegistries(options);
  return await use(client);
}

/** The credentials that `login` keeps; those of podman and skopeo are read where it has none. */
export async function openCredentials(): Promise<CredentialFile> {
  const { openCredentialFile } = await import('@tsc/image');
  const here = surroundings();
  return openCredentialFile(credentialPath(here), {
    fallbackPaths: credentialFallbackPaths(here),
    helperDirs: trustedDirs(here),
  });
}

/** Directories of PATH in which nobody else can put a program under the name of a credential helper. */
function trustedDirs({ environment, uid }: RegistrySurroundings): readonly string[] {
  const othersWrite = access.S_IWGRP | access.S_IWOTH;
  return (environment['PATH'] ?? '').split(':').filter((dir) => {
    const stat = isAbsolute(dir) ? statIfThere(dir) : undefined;
    return stat !== undefined && (stat.uid === 0 || stat.uid === uid) && (stat.mode & othersWrite) === 0;
  });
}

function statIfThere(dir: string): Stats | undefined {
  try {
    return statSync(dir);
  } catch {
    return undefined; // or it can't be entered
  }
}

async function readRegistries(here: RegistrySurroundings): Promise<RegistriesConfig | undefined> {
  const named = here.environment['TSC_REGISTRIES'];
  const paths = named === undefined || named === '' ? registriesPaths(here) : [named];
  for (const path of paths) {
    const text = readIfThere(path);
    if (text === undefined) continue;
    const { parseRegistriesConfig } = await import('@tsc/image');
    return await parseRegistriesConfig(text, path);
  }
  if (named === undefined || named === '') return undefined;
  throw failed(`TSC_REGISTRIES names a file that isn't there: ${named}`);
}

function withInsecure(config: RegistriesConfig | undefined, domains: readonly string[]): RegistriesConfig {
  const hosts = config?.hosts ?? {};
  const relaxed = domains.map((domain) => [domain, { ...hosts[domain], insecure: true }] as const);
  return { hosts: { ...hosts, ...Object.fromEntries(relaxed) } };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failed(`cannot read ${path}: ${String(code)}`, error);
  }
}
