import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';

import type { AccessControl } from '../access/access.ts';
import { openAccessControl } from '../access/open.ts';
import type { AccessOptions } from '../access/options.ts';
import { RegistryConfigError } from '../errors.ts';
import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { GarbageReport, RegistryStorage } from '../storage.ts';
import { makeDrain } from './drain.ts';
import type { Endpoint } from './endpoint.ts';
import { checkGuards, parseListen } from './listen.ts';
import type { ListenAddress } from './listen.ts';
import { createRegistry } from './registry.ts';
import type { Registry, RegistryOptions } from './registry.ts';
import { checkTls, watchTls } from './tls.ts';
import type { TlsOptions } from './tls.ts';
import { inTurn } from './turns.ts';

const HOUR_MS = 3_600_000;
/** Connections that wait to be accepted. A client that finds no room for its own tries again after a second. */
const BACKLOG = 4096;
const HEADERS_BYTES = 16 * 1024;
const HEADERS_TIMEOUT_MS = 20_000;
const KEEP_ALIVE_MS = 30_000;
const RELOAD_INTERVAL_MS = 2000;

export interface ServeOptions extends Omit<RegistryOptions, 'storage' | 'access'> {
  /** An address or a name, and a port; port 0 takes a free one. Default `127.0.0.1:5000`. */
  readonly listen?: string | undefined;
  /** Where everything is kept; made when it isn't there. This or `storage`. */
  readonly rootDir?: string | undefined;
  /** Where everything is kept; stays open when the server is closed. */
  readonly storage?: RegistryStorage | undefined;
  /** Who may do what; options are opened, and closed with the server. Default: everybody everything, on loopback only. */
  readonly access?: AccessControl | AccessOptions | undefined;
  /** Default: plain HTTP, on loopback only. */
  readonly tls?: TlsOptions | undefined;
  /** Allows plain HTTP beyond loopback: something else keeps passwords and contents from being read on their way. */
  readonly plainHttp?: boolean | undefined;
  /** Stands before every request. Default: nothing does. */
  readonly wrap?: ((handler: Registry['handler']) => Registry['handler']) | undefined;
  /** Forgets an upload that nothing arrived for since. Default: a day. */
  readonly uploadMaxAgeMs?: number | undefined;
  /** More connections are closed at once. Default: no limit. */
  readonly maxConnections?: number | undefined;
  /** How long a request's headers may take. Default 20 000. */
  readonly headersTimeoutMs?: number | undefined;
  /** How long a connection waits for its next request. Default 30 000. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** How often accounts, keys and certificates are looked at for changes. Default 2000. */
  readonly reloadIntervalMs?: number | undefined;
}

/** A registry that listens. */
export interface RegistryServer extends AsyncDisposable {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  /** What references to its images begin with: `127.0.0.1:5000`. */
  readonly domain: string;
  /** Gives back the room of what no manifest needs, while others push and pull. `graceMs` defaults to a day. */
  collectGarbage(options?: { readonly graceMs?: number | undefined }): Promise<GarbageReport>;
  /**
   * Stops listening, gives requests `graceMs` to end by themselves, and breaks off the others; new ones on connections that
   * are still there get a 503. Default 10 000.
   */
  close(options?: { readonly graceMs?: number | undefined }): Promise<void>;
}

/**
 * Serves a registry. Nothing is open by oversight: on an address that others can reach it wants accounts, and TLS or the word
 * that there needn't be any.
 *
 * @throws {@link RegistryConfigError} `CONFIG_UNSAFE`: others could reach it; `CONFIG_…`: an option or a file is wrong
 * @throws Error with a `code` of the kernel: the port is taken, the directory can't be used
 * @example await using server = await serveRegistry({ rootDir: 'registry' });
 */
export async function serveRegistry(options: ServeOptions): Promise<RegistryServer> {
  const { tls } = options;
  const address = await checkServed(options);
  await using undo = new AsyncDisposableStack();
  const storage = await openStorage(options);
  const guarded = await openAccess(options, undo);
  const registry = createRegistry({ ...options, ...guarded, storage });
  const drain = makeDrain(options.wrap?.(registry.handler) ?? registry.handler);
  const server = await makeServer(options, undo);
  server.on('request', inTurn(drain.handler));
  server.listen(address.port, address.address, BACKLOG);
  await once(server, 'listening');
  const timer = undo.adopt(cleanUploads(storage, options), clearInterval);
  timer.unref();
  const held = undo.move();
  const domain = formatDomain(address, server);
  const end = async (graceMs: number): Promise<void> => {
    await drain.close(server, graceMs);
    await registry.close();
    await held.disposeAsync();
  };
  let ended: Promise<void> | undefined;
  const close: RegistryServer['close'] = ({ graceMs = 10_000 } = {}) => (ended ??= end(graceMs));
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${domain}`,
    domain,
    collectGarbage: ({ graceMs = 24 * HOUR_MS } = {}) => storage.collectGarbage(graceMs),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Refuses what can be refused before anything is opened. @throws {@link RegistryConfigError} */
export async function checkServed(
  options: Pick<ServeOptions, 'listen' | 'access' | 'tls' | 'plainHttp'>,
): Promise<ListenAddress> {
  const { listen = '127.0.0.1:5000', access, tls, plainHttp = false } = options;
  const address = await parseListen(listen);
  checkGuards(address, { accounts: access !== undefined, tls: tls !== undefined, plainHttp });
  checkCertificates(options);
  return address;
}

const isControl = (access: AccessControl | AccessOptions): access is AccessControl => 'authorize' in access;

/**
 * Certificates take two to be of use: TLS that asks for them, and access that makes accounts of them.
 *
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`
 */
function checkCertificates({ access, tls }: Pick<ServeOptions, 'access' | 'tls'>): void {
  if (tls !== undefined) checkTls(tls);
  const asked = tls?.clientCertificates !== undefined;
  const invalid = (option: string, why: string): RegistryConfigError =>
    new RegistryConfigError('CONFIG_INVALID', `${option}: ${why}`, { option });
  if (asked && access === undefined) {
    throw invalid('tls.clientCertificates', 'add access, which says what their owners may do');
  }
  if (access === undefined || isControl(access) || access.clientCertificates === undefined || asked) return;
  throw invalid(
    'access.clientCertificates',
    'add tls.clientCaFile and tls.clientCertificates, so that clients are asked',
  );
}

async function openStorage({ rootDir, storage }: ServeOptions): Promise<RegistryStorage> {
  if (storage !== undefined && rootDir === undefined) return storage;
  if (storage === undefined && rootDir !== undefined) return openFileSystemStorage(rootDir);
  throw new RegistryConfigError('CONFIG_INVALID', 'rootDir: want either rootDir or storage', { option: 'rootDir' });
}

interface Guarded {
  readonly access: AccessControl | undefined;
  readonly endpoints: readonly Endpoint[];
}

async function openAccess(options: ServeOptions, undo: AsyncDisposableStack): Promise<Guarded> {
  const { access, endpoints = [], onFailure, reloadIntervalMs } = options;
  if (access === undefined || isControl(access)) return { access, endpoints };
  const opened = undo.use(await openAccessControl(access, { onFailure, reloadIntervalMs }));
  return { access: opened.access, endpoints: [...opened.endpoints, ...endpoints] };
}

async function makeServer(options: ServeOptions, undo: AsyncDisposableStack): Promise<Server> {
  const { tls, onFailure, reloadIntervalMs: intervalMs = RELOAD_INTERVAL_MS, maxConnections } = options;
  const limits: ServerOptions = {
    maxHeaderSize: HEADERS_BYTES,
    headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    keepAliveTimeout: options.keepAliveTimeoutMs ?? KEEP_ALIVE_MS,
    // A push may take hours; one that stands still is given up by the registry.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
  };
  if (tls === undefined) return withMaximum(createServer(limits), maxConnections);
  const asks = tls.clientCertificates !== undefined;
  let change: (context: SecureContextOptions) => void = () => undefined;
  const watched = await watchTls(tls, (context) => change(context), { intervalMs, onFailure });
  undo.use(watched);
  const server = createTlsServer({
    ...limits,
    ...watched.current,
    handshakeTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    requestCert: asks,
    rejectUnauthorized: tls.clientCertificates === 'required',
  });
  // New tickets come with a new context, so nobody goes on in a session that the old files allowed.
  change = (context) => server.setSecureContext(context);
  return withMaximum(server, maxConnections);
}

function withMaximum(server: Server, maxConnections: number | undefined): Server {
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  return server;
}

function cleanUploads(
  storage: RegistryStorage,
  { uploadMaxAgeMs = 24 * HOUR_MS, onFailure }: ServeOptions,
): NodeJS.Timeout {
  const clean = (): void => {
    storage.removeStaleUploads(uploadMaxAgeMs).catch((failure: unknown) => onFailure?.(failure));
  };
  clean();
  return setInterval(clean, HOUR_MS);
}

function formatDomain({ host }: ListenAddress, server: Server): string {
  const { port } = server.address() as AddressInfo;
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
