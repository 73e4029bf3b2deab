import { isIPv4 } from 'node:net';

import { ImageError, quote } from '../errors.ts';
import { parseReference, type Reference } from '../reference.ts';

const DOCKER_HUB = 'docker.io';

/** The host that answers for a domain of references: Docker Hub's is another one. */
export const registryHost = (domain: string): string =>
  domain === DOCKER_HUB || domain === 'index.docker.io' ? 'registry-1.docker.io' : domain;

/** Docker Hub's search is at yet another host. */
export const searchUrl = (domain: string): URL | undefined =>
  domain === DOCKER_HUB ? new URL('https://index.docker.io') : undefined;

/** The domain of references whose registry is at `host`. */
export const domainOfHost = (host: string): string =>
  ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'].includes(host) ? DOCKER_HUB : host;

/** Whether a URL's `hostname` is this machine, by its name or number alone. */
export const isLoopback = (hostname: string): boolean => {
  const name = hostname.toLowerCase();
  return name === 'localhost' || name === '[::1]' || name === '::1' || (isIPv4(name) && name.startsWith('127.'));
};

/** @throws {@link ImageError} `REFERENCE_INVALID`, also for a value that was not parsed but made up */
export const checkRepository = ({ domain, path }: Pick<Reference, 'domain' | 'path'>): Reference => {
  const reference = parseReference(`${domain}/${path}`);
  if (URL.canParse(`https://${reference.domain}`)) return reference;
  throw new ImageError('REFERENCE_INVALID', `invalid registry ${quote(domain)}: want a host, or host:port`);
};
