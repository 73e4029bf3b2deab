import { isImageError, openRegistryClient, parseReference } from '@tsc/image';
import type { RegistryClient, RegistryClientOptions } from '@tsc/image';

import { RegistryConfigError } from '../errors.ts';
import type { UpstreamRegistry } from './options.ts';

/** The domain of references that a registry's name means. @throws {@link RegistryConfigError} `CONFIG_INVALID` */
export function domainOf(registry: string): string {
  try {
    const { domain } = parseReference(`${registry}/a/b`);
    // A name without a dot, port or capital is read as a repository of Docker Hub: `registry/a/b`.
    if (domain === registry || registry === 'index.docker.io') return domain;
  } catch (error) {
    if (!isImageError(error)) throw error;
  }
  const what = `invalid registry ${JSON.stringify(registry)}: want a host with a dot, localhost, or host:port`;
  throw new RegistryConfigError('CONFIG_INVALID', what, { option: 'registry' });
}

/**
 * A client for one registry, which knows that one's credential and no other.
 *
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`
 */
export function openUpstreamClient(
  { registry, credential, host, proxy }: UpstreamRegistry,
  options: Pick<RegistryClientOptions, 'retry' | 'timeouts' | 'userAgent'> = {},
): RegistryClient {
  const domain = domainOf(registry);
  return openRegistryClient({
    ...options,
    credentials: { credentialFor: (asked) => Promise.resolve(asked === domain ? credential : undefined) },
    registries: { hosts: host === undefined ? {} : { [domain]: host } },
    proxy,
  });
}
