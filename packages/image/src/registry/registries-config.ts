import {
  asBoolean,
  asList,
  asRecord,
  asString,
  compact,
  member,
  optional,
  requiredMember,
  type Node,
} from '../document.ts';
import { ImageError, isImageError, quote } from '../errors.ts';

/** Another server to read from. */
export interface RegistryMirror {
  /** `https://mirror.example:5000`, or with a path that is put before every repository's name: `https://harbor.example/hub`. */
  readonly url: string;
  /** `pull`: reads content by digest. `resolve`: is trusted to say which digest a tag has. Default: both. */
  readonly capabilities?: readonly ('pull' | 'resolve')[] | undefined;
}

/** How to speak with one registry host. */
export interface RegistryHost {
  /** Asked in this order before the registry itself, for reading only. */
  readonly mirrors?: readonly RegistryMirror[] | undefined;
  /** Speak HTTP, which everybody on the way can read and change. Default: only with loopback addresses that want it. */
  readonly plainHttp?: boolean | undefined;
  /** Take any TLS certificate, so anybody on the way can be the registry. */
  readonly insecure?: boolean | undefined;
  /** Certificate authorities to trust besides Node's own: PEM text, or the absolute path of such a file. */
  readonly ca?: string | undefined;
  /** To show to the registry: PEM text or the absolute path of such a file. Needs `clientKey`. */
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  /** Sent with every request to this host, and to no other. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Hosts (with ports) besides the registry's own that may be given its credential to make a token of. */
  readonly tokenHosts?: readonly string[] | undefined;
}

export interface RegistriesConfig {
  /** By host and port as they stand in references; `'*'` has mirrors for all hosts that are not listed. */
  readonly hosts: Readonly<Record<string, RegistryHost>>;
}

const MAX_BYTES = 1024 ** 2;
const DOMAIN = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// What the client itself says with every request: somebody else's value would break it, or send a secret unseen.
const OWN_HEADERS: ReadonlySet<string> = new Set(['authorization', 'host', 'content-length', 'range', 'accept']);

const invalid = (where: string, why: string): ImageError =>
  new ImageError('REGISTRY_CONFIG_INVALID', `invalid ${where}: ${why}`, { path: where });

const refuseOthers = (node: Node, known: readonly string[]): void => {
  for (const key of Object.keys(asRecord(node, ({ value }) => value))) {
    if (!known.includes(key)) throw invalid(node.where, `${quote(key)} is unknown: want ${known.join(', ')}`);
  }
};

const asDomain = (node: Node): string => {
  const text = asString(node);
  if (!DOMAIN.test(text)) throw invalid(node.where, `${quote(text)} is no host: want host or host:port`);
  return text;
};

const asMirrorUrl = (node: Node): string => {
  const url = URL.parse(asString(node));
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw invalid(node.where, 'want an http:// or https:// URL');
  if (url.username !== '' || url.password !== '')
    throw invalid(node.where, 'a password does not belong here: log in to the mirror');
  if (url.search !== '' || url.hash !== '') throw invalid(node.where, 'want no ? or # part');
  return url.href;
};

const asCapability = (node: Node): 'pull' | 'resolve' => {
  const text = asString(node);
  if (text !== 'pull' && text !== 'resolve') throw invalid(node.where, `${quote(text)}: want pull or resolve`);
  return text;
};

/** `- https://mirror.example` is short for `- url: https://mirror.example`. */
const readMirror = (node: Node): RegistryMirror => {
  if (typeof node.value === 'string') return { url: asMirrorUrl(node) };
  refuseOthers(node, ['url', 'capabilities']);
  return compact({
    url: asMirrorUrl(requiredMember(node, 'url')),
    capabilities: optional(node, 'capabilities', (list) => asList(list, asCapability)),
  });
};

const asPem = (node: Node): string => {
  const text = asString(node);
  if (!text.includes('-----BEGIN ') && !text.startsWith('/'))
    throw invalid(node.where, 'want PEM text or the absolute path of a file with it');
  return text;
};

const asHeaderValue = (node: Node): string => {
  const text = asString(node);
  // The value may be a secret, so it is not shown.
  if (!/^[\t\x20-\x7e]*$/.test(text)) throw invalid(node.where, 'want one line of ASCII text');
  return text;
};

const readHeaders = (node: Node): Readonly<Record<string, string>> => {
  for (const name of Object.keys(asRecord(node, ({ value }) => value))) {
    if (!HEADER_NAME.test(name)) throw invalid(node.where, `${quote(name)} is no header name`);
    if (OWN_HEADERS.has(name.toLowerCase())) throw invalid(node.where, `${name} cannot be set`);
  }
  return asRecord(node, asHeaderValue);
};

const readHost = (node: Node): RegistryHost => {
  const members = ['mirrors', 'plainHttp', 'insecure', 'ca', 'clientCertificate', 'clientKey', 'headers', 'tokenHosts'];
  refuseOthers(node, members);
  const host = compact({
    mirrors: optional(node, 'mirrors', (list) => asList(list, readMirror)),
    plainHttp: optional(node, 'plainHttp', asBoolean),
    insecure: optional(node, 'insecure', asBoolean),
    ca: optional(node, 'ca', asPem),
    clientCertificate: optional(node, 'clientCertificate', asPem),
    clientKey: optional(node, 'clientKey', asPem),
    headers: optional(node, 'headers', readHeaders),
    tokenHosts: optional(node, 'tokenHosts', (list) => asList(list, asDomain)),
  });
  if (Object.hasOwn(host, 'clientCertificate') !== Object.hasOwn(host, 'clientKey'))
    throw invalid(node.where, 'clientCertificate and clientKey need each other');
  return host;
};

const readNamedHost = (node: Node, name: string): RegistryHost => {
  if (name === '*') refuseOthers(node, ['mirrors']);
  else if (!DOMAIN.test(name)) throw invalid(node.where, `${quote(name)} is no host: want host, host:port or '*'`);
  return readHost(node);
};

const readConfig = (node: Node): RegistriesConfig => {
  refuseOthers(node, ['hosts']);
  const hosts = member(node, 'hosts');
  if (hosts === undefined) return { hosts: {} };
  const names = Object.keys(asRecord(hosts, ({ value }) => value));
  const read = (name: string): RegistryHost => {
    const host = member(hosts, name);
    return host === undefined ? {} : readNamedHost(host, name);
  };
  return { hosts: Object.fromEntries(names.map((name) => [name, read(name)])) };
};

const parseYaml = async (text: string, where: string): Promise<Node> => {
  if (text.length > MAX_BYTES) throw invalid(where, `larger than ${String(MAX_BYTES)} bytes`);
  // Most programs have no such file, and loading the parser takes as long as loading the rest of this package.
  const { LineCounter, parseDocument } = (await import('yaml')).default;
  const lineCounter = new LineCounter();
  // Not the parser's own words: they quote the text, and there may be a key in it.
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lineCounter.linePos(error.pos[0]);
    throw invalid(where, `line ${String(line)} is not YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`);
  }
  try {
    return { value: (document.toJS({ maxAliasCount: 100 }) as unknown) ?? {}, where };
  } catch {
    throw invalid(where, 'not YAML: too many aliases');
  }
};

/**
 * Reads the YAML file in which people say how to speak with registries:
 *
 * ```yaml
 * hosts:
 *   docker.io:
 *     mirrors: [https://mirror.example]
 *   registry.example:5000:
 *     ca: /etc/ssl/registry-ca.pem
 *     tokenHosts: [login.example]
 * ```
 *
 * Nothing is read from disk: files that it names are read at the first connection to their host.
 *
 * @param where - named in errors, usually the file
 * @throws {@link ImageError} `REGISTRY_CONFIG_INVALID`: names the member, and what is right
 */
export const parseRegistriesConfig = async (
  yamlText: string,
  where: string = 'registries',
): Promise<RegistriesConfig> => {
  try {
    return readConfig(await parseYaml(yamlText, where));
  } catch (error) {
    if (!isImageError(error) || error.code !== 'DOCUMENT_INVALID') throw error;
    throw new ImageError('REGISTRY_CONFIG_INVALID', error.message, { path: error.path });
  }
};
