import type { IncomingMessage, ServerResponse } from 'node:http';

import { EVERYBODY } from '../access/access.ts';
import type { AccessControl } from '../access/access.ts';
import { needsOf } from '../access/needs.ts';
import { isRegistryError, RegistryError } from '../errors.ts';
import { compileNetworks } from '../operation/address.ts';
import { guardStorage } from '../policy/guard.ts';
import { NO_POLICY } from '../policy/policy.ts';
import type { RepositoryPolicy } from '../policy/policy.ts';
import { parseRoute, usedNamespace } from '../routes.ts';
import type { Route } from '../routes.ts';
import type { RegistryStorage } from '../storage.ts';
import { sendError, sendJson } from './answer.ts';
import { deleteBlob, readBlob, statBlob } from './blobs.ts';
import type { Exchange, RegistryLimits } from './context.ts';
import { Conversation } from './conversation.ts';
import { findEndpoint } from './endpoint.ts';
import type { Endpoint } from './endpoint.ts';
import type { AdmittedRequest, EventSubject, RegistryEvent, RequestRecord } from './events.ts';
import type { RequestLimiter } from './limiter.ts';
import { listReferrers, listRepositories, listTags } from './lists.ts';
import { deleteManifest, readManifest, writeManifest } from './manifests.ts';
import { dropSlowReader } from './slow-reader.ts';
import { inTurn } from './turns.ts';
import { dropUnwantedBody } from './unwanted-body.ts';
import {
  cancelUpload,
  finishUpload,
  mountBlob,
  startUpload,
  uploadChunk,
  uploadStatus,
  uploadWhole,
} from './uploads.ts';

const LIMITS: RegistryLimits = {
  stallTimeoutMs: 60_000,
  manifestMaxBytes: 4 * 1024 * 1024,
  blobMaxBytes: Infinity,
  pageMaxEntries: 10_000,
  minBytesPerSecond: 1024,
};

export interface RegistryOptions {
  readonly storage: RegistryStorage;
  /** What bounds a request; defaults stand at each limit. */
  readonly limits?: Partial<RegistryLimits> | undefined;
  /** Whether tags, manifests and blobs can be deleted; else a 405. Default true. */
  readonly deletable?: boolean | undefined;
  /** Refuses everything that changes something with a 405. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Takes manifests whose blobs and members are not there, or not yet: a mirror of one platform. Default false. */
  readonly sparse?: boolean | undefined;
  /** Who may do what. Default: everybody everything. */
  readonly access?: AccessControl | undefined;
  /** How often one may ask. Default: as often as one likes. */
  readonly limiter?: RequestLimiter | undefined;
  /** Immutable tags and quotas. Default: none. */
  readonly policy?: RepositoryPolicy | undefined;
  /** What else is served, beside `/v2/`. */
  readonly endpoints?: readonly Endpoint[] | undefined;
  /** The prefix of names that `?ns=` stands for, by its value: `docker.io` → `docker.io`, `registry:5000` → `internal`. */
  readonly namespaces?: ReadonlyMap<string, string> | undefined;
  /**
   * Addresses and networks of proxies that say truly, in `X-Forwarded-For`, who they pass requests on for. Default: none.
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Is told what happens to repositories. It must not throw. */
  readonly onEvent?: ((event: RegistryEvent) => void) | undefined;
  /** Is told of every request to the API that is let in. It must not throw. */
  readonly onAdmit?: ((request: AdmittedRequest) => void) | undefined;
  /** Is told of every request when it is over. It must not throw. */
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
  /** What went wrong here, and not at the client: a full disk. It must not throw. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
}

/** A registry without a socket of its own. */
export interface Registry extends AsyncDisposable {
  /** Answers a request: a listener for any `node:http` or `node:https` server. It never throws. */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  /** Breaks off what is under way, and resolves when nothing is any more. Later requests get a 503. */
  close(): Promise<void>;
}

/**
 * Makes a registry of a storage. Without `access` it asks nobody who they are: what stands before it must.
 *
 * @throws TypeError: `trustedProxies` has what is no address and no network
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 * @example createServer(createRegistry({ storage }).handler).listen(5000, '127.0.0.1')
 */
export function createRegistry(options: RegistryOptions): Registry {
  const limits = withDefaults(options.limits ?? {});
  const storage = guardStorage(options.storage, options.policy);
  const isProxy = compileNetworks(options.trustedProxies ?? []);
  let closed = false;
  const running = new Map<Promise<void>, AbortController>();

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const gone = new AbortController();
    const { signal } = gone;
    // After an answer that has left there is nothing to break off, and to abort costs as much as to answer.
    response.on('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    if (closed) gone.abort();
    const answered = answer(new Conversation(request, response, isProxy), {
      ...options,
      storage,
      limits,
      signal,
    })
      // Nothing of one request may end the process, which has the others.
      .catch((failure: unknown) => options.onFailure?.(failure))
      .finally(() => running.delete(answered));
    running.set(answered, gone);
  };

  const close = async (): Promise<void> => {
    closed = true;
    for (const gone of running.values()) gone.abort();
    await Promise.all(running.keys());
  };
  return { handler: inTurn(handler), close, [Symbol.asyncDispose]: close };
}

const withDefaults = (limits: Partial<RegistryLimits>): RegistryLimits => ({
  stallTimeoutMs: limits.stallTimeoutMs ?? LIMITS.stallTimeoutMs,
  manifestMaxBytes: limits.manifestMaxBytes ?? LIMITS.manifestMaxBytes,
  blobMaxBytes: limits.blobMaxBytes ?? LIMITS.blobMaxBytes,
  pageMaxEntries: limits.pageMaxEntries ?? LIMITS.pageMaxEntries,
  minBytesPerSecond: limits.minBytesPerSecond ?? LIMITS.minBytesPerSecond,
});

interface AnswerOptions extends RegistryOptions {
  readonly limits: RegistryLimits;
  readonly signal: AbortSignal;
}

/** Resolves when all is done, whatever happened. */
async function answer(conversation: Conversation, options: AnswerOptions): Promise<void> {
  const { request, response } = conversation;
  const { signal, onFailure, onRequest } = options;
  // A client that goes away shows in what we were doing for it.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  try {
    options.limiter?.admitConnection(conversation);
    const endpoint = findEndpoint(options.endpoints ?? [], request.url ?? '');
    await (endpoint === undefined
      ? answerRoute(conversation, options)
      : answerEndpoint(conversation, endpoint, options));
  } catch (error) {
    const gone = signal.aborted || (request.destroyed && !request.complete);
    if (!isRegistryError(error) && !gone) onFailure?.(error);
    const refusal = isRegistryError(error) ? error : failed(error);
    conversation.errorCode = refusal.code;
    await sendError(conversation, refusal);
  }
  dropSlowReader(conversation, options.limits);
  dropUnwantedBody(request, options.limits);
  if (onRequest !== undefined) onRequest(await conversation.record());
}

async function answerEndpoint(
  conversation: Conversation,
  endpoint: Endpoint,
  { access, signal }: AnswerOptions,
): Promise<void> {
  const { request, response } = conversation;
  conversation.route = endpoint.path;
  if (endpoint.needs.length > 0)
    conversation.identity = (await access?.authorize(request, endpoint.needs)) ?? EVERYBODY;
  const { identity, address } = conversation;
  await endpoint.handle({ request, response, signal, identity, address });
}

async function answerRoute(conversation: Conversation, options: AnswerOptions): Promise<void> {
  const { request, response } = conversation;
  const { storage, limits, signal, access, policy = NO_POLICY, sparse = false, onEvent } = options;
  const route = parseRoute(request.method ?? '', request.url ?? '', options.namespaces);
  if (isRegistryError(route)) throw route;
  conversation.route = route.type;
  if ('name' in route) conversation.name = route.name;
  const namespace = 'name' in route ? usedNamespace(request.url ?? '', options.namespaces) : undefined;
  if (namespace !== undefined) response.setHeader('OCI-Namespace', namespace);
  conversation.identity = (await access?.authorize(request, needsOf(route))) ?? EVERYBODY;
  options.limiter?.admitRequest(conversation, conversation.identity, route);
  options.onAdmit?.({ requestId: conversation.requestId, route: route.type });
  checkAllowed(route, options);
  const { identity } = conversation;
  const emit = (event: EventSubject): void => onEvent?.({ ...conversation.origin(), ...event });
  await dispatch({ request, response, storage, limits, policy, sparse, identity, emit, signal }, route);
}

/** What isn't the client's doing is told to the operator, not to the client. */
const failed = (cause: unknown): RegistryError =>
  new RegistryError('UNSUPPORTED', 'the registry failed', { status: 500, cause });

const CHANGES: ReadonlySet<Route['type']> = new Set<Route['type']>([
  'upload-start',
  'upload-whole',
  'upload-chunk',
  'upload-finish',
  'upload-cancel',
  'mount',
  'manifest-write',
]);
const DELETIONS: ReadonlySet<Route['type']> = new Set<Route['type']>(['blob-delete', 'manifest-delete']);

function checkAllowed({ type }: Route, { deletable = true, readOnly = false }: RegistryOptions): void {
  if (readOnly && (CHANGES.has(type) || DELETIONS.has(type))) throw off('this registry is read-only');
  if (!deletable && DELETIONS.has(type)) throw off('deletion is off');
}

const off = (why: string): RegistryError => new RegistryError('UNSUPPORTED', why, { headers: { Allow: 'GET, HEAD' } });

async function dispatch(exchange: Exchange, route: Route): Promise<void> {
  switch (route.type) {
    case 'version':
      sendJson(exchange, {});
      return;
    case 'blob-read':
      return route.head ? statBlob(exchange, route) : readBlob(exchange, route);
    case 'blob-delete':
      return deleteBlob(exchange, route);
    case 'manifest-read':
      return readManifest(exchange, route);
    case 'manifest-write':
      return writeManifest(exchange, route);
    case 'manifest-delete':
      return deleteManifest(exchange, route);
    case 'upload-start':
      return startUpload(exchange, route);
    case 'upload-whole':
      return uploadWhole(exchange, route);
    case 'mount':
      return mountBlob(exchange, route);
    case 'upload-chunk':
      return uploadChunk(exchange, { name: route.name, id: route.upload });
    case 'upload-finish':
      return finishUpload(exchange, { name: route.name, id: route.upload }, route.digest);
    case 'upload-status':
      return uploadStatus(exchange, { name: route.name, id: route.upload });
    case 'upload-cancel':
      return cancelUpload(exchange, { name: route.name, id: route.upload });
    case 'tags':
      return listTags(exchange, route.name, route.page);
    case 'referrers':
      return listReferrers(exchange, route);
    case 'catalog':
      return listRepositories(exchange, route.page);
  }
}
