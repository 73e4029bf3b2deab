import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { isIP } from 'node:net';
import type { AddressInfo } from 'node:net';

import { RegistryError } from '../errors.ts';
import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { GarbageReport } from '../storage.ts';
import { createRegistry } from './registry.ts';
import type { Registry, RegistryOptions } from './registry.ts';

const HOUR_MS = 3_600_000;
const HEADERS_BYTES = 16 * 1024;
const HEADERS_TIMEOUT_MS = 20_000;

export interface ServeOptions extends Omit<RegistryOptions, 'storage'> {
  /** An address of the loopback interface and a port; port 0 takes a free one. Default `127.0.0.1:5000`. */
  readonly listen?: string | undefined;
  /** Where everything is kept; made when it isn't there. */
  readonly rootDir: string;
  /** Forgets an upload that nothing arrived for since. Default: a day. */
  readonly uploadMaxAgeMs?: number | undefined;
}

/** A registry that listens. */
export interface RegistryServer extends AsyncDisposable {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  /** What references to its images begin with: `127.0.0.1:5000`. */
  readonly domain: string;
  /** Gives back the room of what no manifest needs, while others push and pull. `graceMs` defaults to a day. */
  collectGarbage(options?: { readonly graceMs?: number | undefined }): Promise<GarbageReport>;
  /** Stops listening, gives requests `graceMs` to end by themselves, and breaks off the others. Default 10 000. */
  close(options?: { readonly graceMs?: number | undefined }): Promise<void>;
}

/**
 * Serves a registry from a directory.
 *
 * It has no accounts and no TLS, so it listens on the loopback interface only.
 *
 * @throws {@link RegistryError} `DENIED`: `listen` is another interface's
 * @throws Error with a `code` of the kernel: the port is taken, the directory can't be used
 * @example await using server = await serveRegistry({ rootDir: 'registry' });
 */
export async function serveRegistry(options: ServeOptions): Promise<RegistryServer> {
  const { listen = '127.0.0.1:5000', rootDir, uploadMaxAgeMs = 24 * HOUR_MS } = options;
  const { host, port } = parseLoopback(listen);
  const storage = await openFileSystemStorage(rootDir);
  const registry = createRegistry({ ...options, storage });
  const server = createServer(
    { maxHeaderSize: HEADERS_BYTES, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0 },
    registry.handler,
  );
  server.listen(port, host);
  await once(server, 'listening');
  const clean = (): void => {
    storage.removeStaleUploads(uploadMaxAgeMs).catch((failure: unknown) => options.onFailure?.(failure));
  };
  clean();
  const timer = setInterval(clean, HOUR_MS).unref();
  const domain = `${host.includes(':') ? `[${host}]` : host}:${String((server.address() as AddressInfo).port)}`;
  const close: RegistryServer['close'] = async ({ graceMs = 10_000 } = {}) => {
    clearInterval(timer);
    await closeServer(server, registry, graceMs);
  };
  return {
    url: `http://${domain}`,
    domain,
    collectGarbage: ({ graceMs = 24 * HOUR_MS } = {}) => storage.collectGarbage(graceMs),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

async function closeServer(server: Server, registry: Registry, graceMs: number): Promise<void> {
  if (server.listening) {
    const closed = once(server, 'close');
    server.close();
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  }
  await registry.close();
}

interface Listen {
  readonly host: string;
  readonly port: number;
}

/** @throws {@link RegistryError} `DENIED` */
function parseLoopback(listen: string): Listen {
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1');
  const portText = listen.slice(colon + 1);
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText) || port > 65_535) {
    throw new RegistryError('DENIED', `cannot listen on ${JSON.stringify(listen)}: want address:port`);
  }
  if (host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return { host, port };
  throw new RegistryError('DENIED', `cannot listen on ${JSON.stringify(listen)}: without accounts, on loopback only`);
}
