import { isRegistryError, RegistryError } from './errors.ts';
import { isAlgorithm, isTag, looksLikeDigest, parseDigest, parseManifestReference, parseName } from './names.ts';
import type { Algorithm, Digest, ManifestReference } from './names.ts';
import { parsePage } from './pagination.ts';
import type { PageRequest } from './pagination.ts';

/** What a request asks for; names, digests and tags in it are valid. The comments are the specification's endpoint ids. */
export type Route =
  /** end-1 */
  | { readonly type: 'version' }
  /** end-2; `head` says that only the headers are wanted, here and below */
  | { readonly type: 'blob-read'; readonly head: boolean; readonly name: string; readonly digest: Digest }
  /** end-10 */
  | { readonly type: 'blob-delete'; readonly name: string; readonly digest: Digest }
  /** end-3 */
  | {
      readonly type: 'manifest-read';
      readonly head: boolean;
      readonly name: string;
      readonly reference: ManifestReference;
    }
  /** end-7a, end-7b: `tags` of a push by digest */
  | {
      readonly type: 'manifest-write';
      readonly name: string;
      readonly reference: ManifestReference;
      readonly tags: readonly string[];
    }
  /** end-9 */
  | { readonly type: 'manifest-delete'; readonly name: string; readonly reference: ManifestReference }
  /** end-4a, end-4c */
  | { readonly type: 'upload-start'; readonly name: string; readonly algorithm: Algorithm }
  /** end-4b: the body is all of the blob */
  | { readonly type: 'upload-whole'; readonly name: string; readonly digest: Digest }
  /** end-11; `from` may be left to the registry to find */
  | { readonly type: 'mount'; readonly name: string; readonly digest: Digest; readonly from: string | undefined }
  /** end-5 */
  | { readonly type: 'upload-chunk'; readonly name: string; readonly upload: string }
  /** end-6 */
  | { readonly type: 'upload-finish'; readonly name: string; readonly upload: string; readonly digest: Digest }
  /** end-13 */
  | { readonly type: 'upload-status'; readonly head: boolean; readonly name: string; readonly upload: string }
  /** end-14 */
  | { readonly type: 'upload-cancel'; readonly name: string; readonly upload: string }
  /** end-8a, end-8b */
  | { readonly type: 'tags'; readonly name: string; readonly page: PageRequest }
  /** end-12a, end-12b */
  | {
      readonly type: 'referrers';
      readonly name: string;
      readonly digest: Digest;
      readonly artifactType: string | undefined;
      /** Referrers up to this digest were seen: our own word in the `Link` to the next page. */
      readonly after: string | undefined;
    }
  /** Not in the specification, but tools use it. */
  | { readonly type: 'catalog'; readonly page: PageRequest };

const URL_MAX = 8192;
const TAGS_MAX = 100;

/**
 * Finds out what a request asks for. A path is split before it is decoded and every part is checked after it, so an encoded
 * slash or `..` can't make a part mean another one; the walk is linear in the length of the URL.
 *
 * @param url - the request target as it arrived: path and query, without scheme and host
 * @param namespaces - prefixes of names by the value of `?ns=`; one that isn't there is ignored, as the specification wants it
 * @returns the route, or the error to answer with: 404 for what is no endpoint, 405 with `Allow` for a wrong method
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
 * @example parseRoute('GET', '/v2/library/alpine/manifests/3.22')
 */
export function parseRoute(
  method: string,
  url: string,
  namespaces?: ReadonlyMap<string, string>,
): Route | RegistryError {
  try {
    return route(method.toUpperCase(), url, namespaces);
  } catch (error) {
    if (isRegistryError(error)) return error;
    throw error;
  }
}

const namespaceOf = (query: URLSearchParams): string => query.get('ns') ?? '';

/** The `ns` of a request whose name it stands before; undefined for one that is ignored. */
export function usedNamespace(url: string, namespaces?: ReadonlyMap<string, string>): string | undefined {
  const mark = url.indexOf('?');
  if (mark < 0 || namespaces === undefined) return undefined;
  const namespace = namespaceOf(new URLSearchParams(url.slice(mark + 1)));
  return namespaces.has(namespace) ? namespace : undefined;
}

interface Request {
  readonly method: string;
  readonly name: string;
  readonly query: URLSearchParams;
}

const notFound = (): RegistryError => new RegistryError('NAME_UNKNOWN', 'no such endpoint', { status: 404 });

function route(method: string, url: string, namespaces?: ReadonlyMap<string, string>): Route {
  if (url.length > URL_MAX) throw new RegistryError('NAME_INVALID', 'the URL is too long', { status: 414 });
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const parts = path.split('/').map((part) => decodePart(part));
  if (parts[0] !== '' || parts[1] !== 'v2') throw notFound();
  const rest = parts.slice(2);
  if (rest.length === 0 || (rest.length === 1 && rest[0] === '')) {
    return pick(
      method,
      readings(() => ({ type: 'version' })),
    );
  }
  if (rest.length === 1 && rest[0] === '_catalog') {
    return pick(
      method,
      readings(() => ({ type: 'catalog', page: parsePage(query) })),
    );
  }
  const prefix = namespaces?.get(namespaceOf(query));
  return repositoryRoute(method, prefix === undefined ? rest : [...prefix.split('/'), ...rest], query);
}

/** A name has slashes of its own, so an endpoint is known by its end. */
function repositoryRoute(method: string, parts: readonly string[], query: URLSearchParams): Route {
  const request = (words: number): Request => ({ method, query, name: parseName(parts.slice(0, -words).join('/')) });
  const last = parts.at(-1) ?? '';
  const [third, second] = [parts.at(-3), parts.at(-2)];
  if (third === 'blobs' && second === 'uploads')
    return last === '' ? startRoute(request(3)) : uploadRoute(request(3), last);
  if (second === 'blobs' && last === 'uploads') return startRoute(request(2));
  if (second === 'blobs') return blobRoute(request(2), parseDigest(last));
  if (second === 'manifests') return manifestRoute(request(2), last);
  if (second === 'referrers') return referrersRoute(request(2), parseDigest(last));
  if (second === 'tags' && last === 'list') return tagsRoute(request(2));
  throw notFound();
}

/** No part of any endpoint has a slash, a NUL or a percent sign in it, so what decodes to one is refused. */
function decodePart(part: string): string {
  if (!part.includes('%')) return part;
  let decoded: string;
  try {
    decoded = decodeURIComponent(part);
  } catch (error) {
    throw new RegistryError('NAME_INVALID', 'malformed percent encoding in the path', { cause: error });
  }
  if (decoded.includes('/') || decoded.includes('%') || decoded.includes('\0') || decoded.includes('\\')) {
    throw new RegistryError('NAME_INVALID', 'an encoded separator in the path');
  }
  return decoded;
}

function pick(method: string, methods: Readonly<Record<string, () => Route>>): Route {
  const make = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (make !== undefined) return make();
  const allow = Object.keys(methods).join(', ');
  throw new RegistryError('UNSUPPORTED', `no ${method.slice(0, 20)} here: ${allow}`, { headers: { Allow: allow } });
}

const blobRoute = ({ method, name }: Request, digest: Digest): Route =>
  pick(method, {
    GET: () => ({ type: 'blob-read', head: false, name, digest }),
    HEAD: () => ({ type: 'blob-read', head: true, name, digest }),
    DELETE: () => ({ type: 'blob-delete', name, digest }),
  });

const manifestRoute = ({ method, name, query }: Request, text: string): Route =>
  pick(method, {
    GET: () => ({ type: 'manifest-read', head: false, name, reference: storedReference(text) }),
    HEAD: () => ({ type: 'manifest-read', head: true, name, reference: storedReference(text) }),
    PUT: () => {
      const reference = parseManifestReference(text);
      return { type: 'manifest-write', name, reference, tags: pushedTags(reference, query) };
    },
    DELETE: () => ({ type: 'manifest-delete', name, reference: storedReference(text) }),
  });

/** What can't be a tag was never pushed as one, and what isn't there is a 404: the official suite asks for `.INVALID…`. */
function storedReference(text: string): ManifestReference {
  if (looksLikeDigest(text) || isTag(text)) return parseManifestReference(text);
  throw new RegistryError('MANIFEST_UNKNOWN', `no manifest has a tag like ${JSON.stringify(text.slice(0, 100))}`);
}

function pushedTags(reference: ManifestReference, query: URLSearchParams): readonly string[] {
  const tags = query.getAll('tag');
  if (reference.type === 'tag' && tags.length > 0) {
    throw new RegistryError('MANIFEST_INVALID', 'tag= belongs to a push by digest');
  }
  if (tags.length > TAGS_MAX) {
    throw new RegistryError('MANIFEST_INVALID', `more than ${String(TAGS_MAX)} tags`, { status: 414 });
  }
  const bad = tags.find((tag) => !isTag(tag));
  if (bad === undefined) return [...new Set(tags)];
  throw new RegistryError('MANIFEST_INVALID', `invalid tag ${JSON.stringify(bad.slice(0, 100))}`);
}

const startRoute = ({ method, name, query }: Request): Route => pick(method, { POST: () => startUpload(name, query) });

function startUpload(name: string, query: URLSearchParams): Route {
  const mount = query.get('mount');
  const from = query.get('from');
  const digest = query.get('digest');
  if (mount !== null) {
    return { type: 'mount', name, digest: parseDigest(mount), from: from === null ? undefined : parseName(from) };
  }
  if (digest !== null) return { type: 'upload-whole', name, digest: parseDigest(digest) };
  const algorithm = query.get('digest-algorithm') ?? 'sha256';
  if (isAlgorithm(algorithm)) return { type: 'upload-start', name, algorithm };
  throw new RegistryError('DIGEST_INVALID', 'digest-algorithm is sha256 or sha512');
}

/** Ids are ours: letters, digits, dashes and underscores. Nothing else can be one, so nothing else is looked up. */
const isUploadId = (text: string): boolean => text.length <= 64 && /^[A-Za-z0-9_-]+$/.test(text);

function uploadRoute({ method, name, query }: Request, upload: string): Route {
  if (!isUploadId(upload)) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'no such upload');
  return pick(method, {
    GET: () => ({ type: 'upload-status', head: false, name, upload }),
    HEAD: () => ({ type: 'upload-status', head: true, name, upload }),
    PATCH: () => ({ type: 'upload-chunk', name, upload }),
    PUT: () => ({ type: 'upload-finish', name, upload, digest: parseDigest(query.get('digest') ?? '') }),
    DELETE: () => ({ type: 'upload-cancel', name, upload }),
  });
}

/** What HTTP wants to be had by HEAD wherever there is a GET. */
const readings = (make: () => Route): Readonly<Record<string, () => Route>> => ({ GET: make, HEAD: make });

const referrersRoute = ({ method, name, query }: Request, digest: Digest): Route =>
  pick(
    method,
    readings(() => ({
      type: 'referrers',
      name,
      digest,
      artifactType: query.get('artifactType') ?? undefined,
      after: query.get('last') ?? undefined,
    })),
  );

const tagsRoute = ({ method, name, query }: Request): Route =>
  pick(
    method,
    readings(() => ({ type: 'tags', name, page: parsePage(query) })),
  );
