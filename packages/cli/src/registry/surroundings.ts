import { join } from 'node:path';

import type { ProxyOptions } from '@tsc/image';

/** What a command was started with. */
export interface RegistrySurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly uid: number;
}

/** The file that `login` writes, and that is read first. */
export const credentialPath = ({ environment, homeDir }: RegistrySurroundings): string =>
  join(environment['DOCKER_CONFIG'] || join(homeDir, '.docker'), 'config.json');

/**
 * Where podman, buildah and skopeo keep their credentials, in the order in which they look.
 *
 * @see https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 */
export function credentialFallbackPaths({ environment, homeDir, uid }: RegistrySurroundings): readonly string[] {
  const named = environment['REGISTRY_AUTH_FILE'];
  const runtimeDir = environment['XDG_RUNTIME_DIR'];
  const configDir = environment['XDG_CONFIG_HOME'] || join(homeDir, '.config');
  return [
    ...(named === undefined || named === '' ? [] : [named]),
    runtimeDir === undefined || runtimeDir === ''
      ? `/run/containers/${uid}/auth.json`
      : join(runtimeDir, 'containers/auth.json'),
    join(configDir, 'containers/auth.json'),
  ];
}

/** The files that may say how to speak with registries: the first that is there does. */
export function registriesPaths({ environment, homeDir }: RegistrySurroundings): readonly string[] {
  const configDir = environment['XDG_CONFIG_HOME'] || join(homeDir, '.config');
  return [join(configDir, 'tsc/registries.yaml'), '/etc/tsc/registries.yaml'];
}

/** The usual variables, in small or capital letters; an empty one means none. */
export function proxiesOf({ environment }: RegistrySurroundings): ProxyOptions {
  const either = (name: string): string | undefined =>
    environment[name] || environment[name.toLowerCase()] || undefined;
  return { http: either('HTTP_PROXY'), https: either('HTTPS_PROXY'), no: either('NO_PROXY') };
}

/** Docker Hub has several names, of which its references have one. */
const HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);
const HUB_KEY = 'https://index.docker.io/v1/';

/** The host that `login SERVER` means: `https://registry.example/v2/` is `registry.example`, and nothing Docker Hub. */
export function serverDomain(server: string | undefined): string {
  const host = (server ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === '' || HUB_NAMES.has(host) ? 'docker.io' : host;
}

/** How Docker calls a server in its messages. */
export const serverLabel = (domain: string): string => (domain === 'docker.io' ? HUB_KEY : domain);
