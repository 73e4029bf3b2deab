import type { Descriptor } from '../descriptor.ts';
import { isDigest } from '../digest.ts';
import { ImageError, isImageError, quote } from '../errors.ts';
import { parseReference } from '../reference.ts';
import type { Need } from './authorizer.ts';
import { answerFailure, type Answer } from './failure.ts';
import type { RetryPolicy } from './retry.ts';
import type { Server, ServerRequest } from './server.ts';

/** A repository at one server: the registry itself or a mirror. */
export interface Site {
  readonly server: Server;
  /** The repository's name there. */
  readonly name: string;
  /** Whose mirror it is, which it is told. */
  readonly mirrorOf?: string | undefined;
}

/** A repository and the servers that have it. */
export interface Place {
  readonly domain: string;
  readonly path: string;
  readonly origin: Site;
  readonly mirrors: readonly (Site & { readonly capabilities: readonly ('pull' | 'resolve')[] })[];
  readonly retry: RetryPolicy;
}

type Action = 'pull' | 'pull,push' | 'delete';

export const needOf = ({ name }: Site, action: Action, ...others: readonly string[]): Need => ({
  repository: name,
  scopes: [`repository:${name}:${action}`, ...others],
});

/** `/v2/library/debian/manifests/12`, with what a mirror wants to know. */
export const targetAt = (site: Site, below: string, query: Readonly<Record<string, string>> = {}): string => {
  const all = new URLSearchParams(site.mirrorOf === undefined ? query : { ...query, ns: site.mirrorOf });
  return `/v2/${site.name}/${below}${all.size === 0 ? '' : `?${all.toString()}`}`;
};

/** What a tag or digest of the place is called in messages. */
export const nameOf = ({ domain, path }: Place, tagOrDigest: string): string =>
  `${domain}/${path}${isDigest(tagOrDigest) ? '@' : ':'}${tagOrDigest}`;

/** @throws {@link ImageError} `REFERENCE_INVALID`: neither, so it never stands in a URL */
export const checkTagOrDigest = (place: Place, tagOrDigest: string): string => {
  const { tag, digest, path } = parseReference(nameOf(place, tagOrDigest));
  const isOne = tag === undefined ? digest === tagOrDigest : digest === undefined && tag === tagOrDigest;
  if (isOne && path === place.path) return tagOrDigest;
  throw new ImageError('REFERENCE_INVALID', `invalid ${quote(tagOrDigest)}: want one tag or digest`, {
    path: tagOrDigest,
  });
};

/** The answer if it has one of the statuses. @throws {@link ImageError} what became of the request otherwise */
export const expectStatus = async (
  answer: Answer,
  statuses: readonly number[],
  { what, signal }: { readonly what: string; readonly signal?: AbortSignal | undefined },
): Promise<Answer> => {
  if (statuses.includes(answer.status)) return answer;
  throw await answerFailure(what, answer, signal);
};

const AVOID_MS = 60_000;

/**
 * Asks the mirrors in their order and then the registry. A mirror's failure is only told if the registry fails too; one
 * that can't be reached is left alone for a minute.
 */
export const askInTurn = async <T>(
  place: Place,
  capability: 'pull' | 'resolve',
  { ask, signal }: { readonly ask: (site: Site) => Promise<T>; readonly signal?: AbortSignal | undefined },
): Promise<T> => {
  const failures: string[] = [];
  for (const mirror of place.mirrors) {
    if (!mirror.capabilities.includes(capability) || mirror.server.avoidUntilMs > performance.now()) continue;
    try {
      return await ask(mirror);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isImageError(error)) throw error;
      if (error.code === 'REGISTRY_UNREACHABLE') mirror.server.avoidUntilMs = performance.now() + AVOID_MS;
      failures.push(error.message);
    }
  }
  try {
    return await ask(place.origin);
  } catch (error) {
    if (failures.length === 0 || !isImageError(error)) throw error;
    const { code, message, path, errno } = error;
    throw new ImageError(code, `${message}; its mirrors: ${failures.join('; ')}`, { path, errno, cause: error });
  }
};

/** A request whose answer has no body that matters. */
export const sendFor = async (
  server: Server,
  request: ServerRequest,
  { what, statuses }: { readonly what: string; readonly statuses: readonly number[] },
): Promise<Answer> => {
  const { signal } = request;
  return await expectStatus(await server.send(request), statuses, { what, signal });
};

export const describeBlob = ({ domain, path }: Place, { digest }: Pick<Descriptor, 'digest'>): string =>
  `blob ${domain}/${path}@${digest}`;
