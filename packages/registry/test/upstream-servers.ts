import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { blobFromBytes, composeArtifact, openRegistryClient, pushArtifact } from '@tsc/image';
import type { Artifact } from '@tsc/image';

// Not through index.ts: what else is there isn't needed here.
import { openFileSystemStorage } from '../src/filesystem/storage.ts';
import { createRegistry } from '../src/server/registry.ts';
import type { RegistryStorage } from '../src/storage.ts';
import { cacheUpstreams, namespacesOf } from '../src/upstream/cache.ts';
import type { CachingStorage } from '../src/upstream/cache.ts';
import type { CacheEvent, CacheOptions, Upstream } from '../src/upstream/options.ts';
import { withCacheHeaders } from '../src/upstream/requests.ts';

export const sha256 = (bytes: Uint8Array | string): `sha256:${string}` =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A server on a free port of loopback. */
interface Listening extends AsyncDisposable {
  readonly domain: string;
  readonly url: string;
}

async function listen(listener: RequestListener): Promise<Listening> {
  const server: Server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const domain = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    domain,
    url: `http://${domain}`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Does something else with a request than to pass it on; false: nothing. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface WatchedUpstream extends Listening {
  /** `GET /v2/app/manifests/1`, in the order in which they came. */
  readonly requests: string[];
  readonly headers: IncomingMessage['headers'][];
  intercept: Intercept;
}

/** Stands before a registry, writes down what it is asked, and misbehaves where a test wants it to. */
export async function watchUpstream(target: string): Promise<WatchedUpstream> {
  const [requests, headers]: [string[], IncomingMessage['headers'][]] = [[], []];
  const agent = new Agent({ keepAlive: false });
  const watched = { requests, headers, intercept: (() => false) as Intercept };
  const listening = await listen((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    headers.push(request.headers);
    if (watched.intercept(request, response)) return;
    const { method, url } = request;
    const passed = httpRequest(new URL(url ?? '/', target), { method, headers: request.headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
      response.on('close', () => answer.destroy());
    });
    passed.on('error', () => response.destroy());
    request.pipe(passed);
  });
  return Object.assign(watched, listening);
}

export interface CacheServer extends Listening {
  readonly cache: CachingStorage;
  /** What is below the cache. */
  readonly storage: RegistryStorage;
  readonly rootDir: string;
  readonly spoolDir: string;
  readonly events: CacheEvent[];
  readonly failures: unknown[];
  /** `hit tag`, `fetched blob`. */
  told(): readonly string[];
}

/** A registry of ours that caches upstreams. */
export async function startCache(
  upstreams: readonly Upstream[],
  options: Partial<CacheOptions> = {},
): Promise<CacheServer> {
  const dir = await mkdtemp(join(tmpdir(), 'tsc-registry-cache-'));
  const [rootDir, spoolDir] = [join(dir, 'root'), join(dir, 'spool')];
  const [events, failures]: [CacheEvent[], unknown[]] = [[], []];
  const storage = await openFileSystemStorage(rootDir);
  const cache = await cacheUpstreams(storage, upstreams, {
    spoolDir,
    onEvent: (event) => events.push(event),
    onFailure: (failure) => failures.push(failure),
    ...options,
  });
  const registry = createRegistry({
    storage: cache,
    namespaces: namespacesOf(upstreams),
    onFailure: (failure) => failures.push(failure),
  });
  const listening = await listen(withCacheHeaders(registry.handler));
  return {
    ...listening,
    cache,
    storage,
    rootDir,
    spoolDir,
    events,
    failures,
    told: () => events.map(({ type, object }) => `${type} ${object}`),
    [Symbol.asyncDispose]: async () => {
      await listening[Symbol.asyncDispose]();
      await registry.close();
      await cache[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}

export interface PlainRegistry extends Listening {
  readonly storage: RegistryStorage;
}

/** A registry of ours without a cache. */
export async function startPlain(): Promise<PlainRegistry> {
  const dir = await mkdtemp(join(tmpdir(), 'tsc-registry-plain-'));
  const storage = await openFileSystemStorage(dir);
  const registry = createRegistry({ storage });
  const listening = await listen(registry.handler);
  return {
    ...listening,
    storage,
    [Symbol.asyncDispose]: async () => {
      await listening[Symbol.asyncDispose]();
      await registry.close();
      await rm(dir, { recursive: true });
    },
  };
}

/** An artifact with these blobs. */
export const artifactOf = (...blobs: readonly Uint8Array[]): Artifact =>
  composeArtifact({ artifactType: 'text/test', blobs: blobs.map((bytes) => blobFromBytes(bytes, 'text/plain')) });

export async function push(reference: string, artifact: Artifact): Promise<void> {
  await using client = openRegistryClient();
  for await (const _event of pushArtifact(client, reference, artifact));
}

/** Waits for what comes soon. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it did not come');
}
