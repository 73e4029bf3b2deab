import { describe, expect, it } from '@jest/globals';

import {
  credentialFallbackPaths,
  credentialPath,
  proxiesOf,
  registriesPaths,
  serverDomain,
  serverLabel,
} from './surroundings.ts';

const at = (environment: Readonly<Record<string, string>>) => ({ environment, homeDir: '/home/me', uid: 1000 });

describe('the surroundings of a registry client', () => {
  it('have credentials where Docker keeps them, and then where podman does', () => {
    expect(credentialPath(at({}))).toBe('/home/me/.docker/config.json');
    expect(credentialPath(at({ DOCKER_CONFIG: '' }))).toBe('/home/me/.docker/config.json');
    expect(credentialPath(at({ DOCKER_CONFIG: '/conf' }))).toBe('/conf/config.json');
    expect(credentialFallbackPaths(at({}))).toEqual([
      '/run/containers/1000/auth.json',
      '/home/me/.config/containers/auth.json',
    ]);
    const named = { REGISTRY_AUTH_FILE: '/a.json', XDG_RUNTIME_DIR: '/run/user/7', XDG_CONFIG_HOME: '/x' };
    expect(credentialFallbackPaths(at(named))).toEqual([
      '/a.json',
      '/run/user/7/containers/auth.json',
      '/x/containers/auth.json',
    ]);
  });

  it('say how to speak with registries, the user before the machine', () => {
    expect(registriesPaths(at({}))).toEqual(['/home/me/.config/tsc/registries.yaml', '/etc/tsc/registries.yaml']);
    expect(registriesPaths(at({ XDG_CONFIG_HOME: '/x' }))[0]).toBe('/x/tsc/registries.yaml');
  });

  it('name proxies in capital or small letters', () => {
    expect(proxiesOf(at({}))).toEqual({ http: undefined, https: undefined, no: undefined });
    const proxies = { HTTP_PROXY: 'http://a:1', http_proxy: 'http://b:1', https_proxy: 'http://c:1', no_proxy: 'x,y' };
    expect(proxiesOf(at(proxies))).toEqual({ http: 'http://a:1', https: 'http://c:1', no: 'x,y' });
  });
});

describe('the server of login', () => {
  it.each([
    [undefined, 'docker.io', 'https://index.docker.io/v1/'],
    ['', 'docker.io', 'https://index.docker.io/v1/'],
    ['https://index.docker.io/v1/', 'docker.io', 'https://index.docker.io/v1/'],
    ['docker.io', 'docker.io', 'https://index.docker.io/v1/'],
    ['localhost:5000', 'localhost:5000', 'localhost:5000'],
    ['https://registry.example/v2/', 'registry.example', 'registry.example'],
  ])('%s', (server, domain, label) => {
    expect(serverDomain(server)).toBe(domain);
    expect(serverLabel(domain)).toBe(label);
  });
});
