import { domainOfHost } from './host-name.ts';

/** Under which Docker and podman keep Docker Hub's credentials. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';

/** What a key of a credential file is about: a host, or the repositories below a path of it. */
interface KeyScope {
  readonly domain: string;
  /** `''`, or `team/app`. */
  readonly path: string;
}

/**
 * Reads a key. Docker writes hosts, and used to write URLs, whose path is the API's version; podman writes hosts and the
 * beginnings of repositories.
 */
const readKey = (key: string): KeyScope => {
  const bare = key.replace(/^https?:\/\//, '');
  const slash = bare.indexOf('/');
  const host = slash < 0 ? bare : bare.slice(0, slash);
  const path = slash < 0 || bare !== key ? '' : bare.slice(slash + 1).replace(/\/+$/, '');
  return { domain: domainOfHost(host), path: /^v[12]$/.test(path) ? '' : path };
};

const covers = (scope: KeyScope, domain: string, path: string): boolean =>
  scope.domain === domainOfHost(domain) &&
  (scope.path === '' || path === scope.path || path.startsWith(`${scope.path}/`));

/** The keys that are about a repository, the closest first: `r.example/team/app`, `r.example/team`, `r.example`. */
export const matchingKeys = (keys: readonly string[], domain: string, path: string = ''): readonly string[] =>
  keys
    .map((key) => ({ key, scope: readKey(key) }))
    .filter(({ scope }) => covers(scope, domain, path))
    .sort((a, b) => b.scope.path.length - a.scope.path.length)
    .map(({ key }) => key);

/** The keys that are about the host itself, and nothing below it. */
export const keysOfHost = (keys: readonly string[], domain: string): readonly string[] =>
  matchingKeys(keys, domain, '');

/** What to store a host's credential under, and to ask helpers for. */
export const keyFor = (domain: string): string => (domainOfHost(domain) === 'docker.io' ? DOCKER_HUB_KEY : domain);
