import { isDigest, type Digest } from './digest.ts';
import { ImageError, quote } from './errors.ts';

/** Where an image is named: a repository at a registry, and a tag or digest in it. */
export interface Reference {
  /** Registry host with its port, if one is given: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** The repository below the host: `library/debian`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const DEFAULT_DOMAIN = 'docker.io';
const DEFAULT_NAMESPACE = 'library/';
const NAME_MAX = 255;
/** Name, tag, digest and their separators; nothing longer is looked at. */
const REFERENCE_MAX = NAME_MAX + 1 + 128 + 1 + 71;

// Each alternative starts with another character, so these match in one pass without backtracking over the whole text.
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const HOST_LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const HEX_ID = /^[0-9a-f]{64}$/;

const invalid = (text: string, why: string): ImageError =>
  new ImageError('REFERENCE_INVALID', `invalid reference ${quote(text)}: ${why}`, { path: text });

const isDomain = (text: string): boolean => {
  const ipv6 = /^\[[0-9a-fA-F:]+\](?::[0-9]+)?$/;
  if (text.startsWith('[')) return ipv6.test(text);
  const [host = '', port, ...rest] = text.split(':');
  if (rest.length > 0 || (port !== undefined && !/^[0-9]+$/.test(port))) return false;
  return host.split('.').every((label) => HOST_LABEL.test(label));
};

/** Docker's rule for telling `localhost/app` or `host:5000/app` from `user/app`. */
const looksLikeDomain = (first: string): boolean =>
  /[.:[]/.test(first) || first === 'localhost' || first.toLowerCase() !== first;

const splitName = (name: string): { domain: string; path: string } => {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const [domain, path] = slash >= 0 && looksLikeDomain(first) ? [first, name.slice(slash + 1)] : [DEFAULT_DOMAIN, name];
  if (domain !== DEFAULT_DOMAIN && domain !== 'index.docker.io') return { domain, path };
  return { domain: DEFAULT_DOMAIN, path: path.includes('/') ? path : DEFAULT_NAMESPACE + path };
};

const splitTag = (rest: string): { name: string; tag: string | undefined } => {
  const colon = rest.lastIndexOf(':');
  if (colon <= rest.lastIndexOf('/')) return { name: rest, tag: undefined };
  return { name: rest.slice(0, colon), tag: rest.slice(colon + 1) };
};

/**
 * Reads a reference as `docker` does: `debian` means `docker.io/library/debian:latest`. A reference with a digest keeps
 * its tag, if any, and gets no default one.
 *
 * @throws {@link ImageError} `REFERENCE_INVALID`: says which part breaks which rule
 * @see https://github.com/distribution/reference
 */
export const parseReference = (text: string): Reference => {
  if (text === '') throw invalid(text, 'it is empty');
  if (text.length > REFERENCE_MAX) throw invalid(text, `it is longer than ${String(REFERENCE_MAX)} characters`);
  if (HEX_ID.test(text)) throw invalid(text, 'a repository name cannot be 64 hex digits, which is an image id');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, 'what follows @ is no sha256 digest');
  const { name, tag } = splitTag(at < 0 ? text : text.slice(0, at));
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `${quote(tag)} is no tag`);
  const { domain, path } = splitName(name);
  if (!isDomain(domain)) throw invalid(text, `${quote(domain)} is no host name`);
  if (/[A-Z]/.test(path)) throw invalid(text, 'repository name must be lowercase');
  if (!path.split('/').every((component) => COMPONENT.test(component)))
    throw invalid(text, `${quote(path)} is no repository name`);
  if (domain.length + 1 + path.length > NAME_MAX)
    throw invalid(text, `the name is longer than ${String(NAME_MAX)} characters`);
  return { domain, path, tag: tag ?? (digest === undefined ? 'latest' : undefined), digest };
};

/** The whole reference, without which nothing is implied: `docker.io/library/debian:latest`. The store's names are these. */
export const formatReference = (reference: Reference): string =>
  `${reference.domain}/${reference.path}${suffix(reference)}`;

/** The short form for people: `debian:latest`, `user/app:1`, `localhost:5000/app:1`. */
export const formatFamiliarReference = (reference: Reference): string =>
  formatRepository(reference) + suffix(reference);

/** The repository in its short form: `debian`, `localhost:5000/app`. */
export const formatRepository = (reference: Reference): string => {
  if (reference.domain !== DEFAULT_DOMAIN) return `${reference.domain}/${reference.path}`;
  const short = reference.path.slice(DEFAULT_NAMESPACE.length);
  return reference.path.startsWith(DEFAULT_NAMESPACE) && !short.includes('/') ? short : reference.path;
};

const suffix = ({ tag, digest }: Reference): string =>
  (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
