import type { IncomingMessage, ServerResponse } from 'node:http';

import { isRegistryError, RegistryError } from '../errors.ts';
import { parseRoute } from '../routes.ts';
import type { Route } from '../routes.ts';
import type { RegistryStorage } from '../storage.ts';
import { sendError, sendJson } from './answer.ts';
import { deleteBlob, readBlob, statBlob } from './blobs.ts';
import type { Exchange, RegistryLimits } from './context.ts';
import { listReferrers, listRepositories, listTags } from './lists.ts';
import { deleteManifest, readManifest, writeManifest } from './manifests.ts';
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
};

export interface RegistryOptions {
  readonly storage: RegistryStorage;
  /** What bounds a request; defaults stand at each limit. */
  readonly limits?: Partial<RegistryLimits> | undefined;
  /** Whether tags, manifests and blobs can be deleted; else a 405. Default true. */
  readonly deletable?: boolean | undefined;
  /** Refuses everything that changes something with a 405. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Told of failures that clients see as a 500: a full disk, a file that can't be read. */
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
 * Makes a registry of a storage. It asks nobody who they are: what stands before it must.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 * @example createServer(createRegistry({ storage }).handler).listen(5000, '127.0.0.1')
 */
export function createRegistry(options: RegistryOptions): Registry {
  const limits = withDefaults(options.limits ?? {});
  const closing = new AbortController();
  const running = new Set<Promise<void>>();

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const signal = AbortSignal.any([closing.signal, gone.signal]);
    const exchange: Exchange = { request, response, storage: options.storage, limits, signal };
    const answered = answer(exchange, options).finally(() => running.delete(answered));
    running.add(answered);
  };

  const close = async (): Promise<void> => {
    closing.abort();
    await Promise.all(running);
  };
  return { handler, close, [Symbol.asyncDispose]: close };
}

const withDefaults = (limits: Partial<RegistryLimits>): RegistryLimits => ({
  stallTimeoutMs: limits.stallTimeoutMs ?? LIMITS.stallTimeoutMs,
  manifestMaxBytes: limits.manifestMaxBytes ?? LIMITS.manifestMaxBytes,
  blobMaxBytes: limits.blobMaxBytes ?? LIMITS.blobMaxBytes,
  pageMaxEntries: limits.pageMaxEntries ?? LIMITS.pageMaxEntries,
});

/** Resolves when all is done, whatever happened. */
async function answer(exchange: Exchange, options: RegistryOptions): Promise<void> {
  const { request, response, signal } = exchange;
  // A client that goes away shows in what we were doing for it.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  try {
    const route = parseRoute(request.method ?? '', request.url ?? '');
    if (isRegistryError(route)) throw route;
    checkAllowed(route, options);
    await dispatch(exchange, route);
  } catch (error) {
    const gone = signal.aborted || (request.destroyed && !request.complete);
    if (!isRegistryError(error) && !gone) options.onFailure?.(error);
    await sendError(exchange, isRegistryError(error) ? error : failed(error));
  }
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
