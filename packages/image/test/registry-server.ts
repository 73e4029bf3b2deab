import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A request that a server of a test was sent. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Handler = (request: Recorded, response: ServerResponse, raw: IncomingMessage) => void | Promise<void>;

export interface TestServer extends AsyncDisposable {
  /** What references begin with: `127.0.0.1:40123`. */
  readonly domain: string;
  readonly url: string;
  /** In the order in which their bodies were there. */
  readonly requests: readonly Recorded[];
}

export interface TestServerOptions {
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Gives the handler the request before its body has come; then `body` is empty. */
  readonly early?: boolean | undefined;
}

const readAll = async (raw: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of raw as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const record = async (raw: IncomingMessage, early: boolean): Promise<Recorded> => {
  const url = new URL(raw.url ?? '/', 'http://x');
  const { method = '', headers } = raw;
  const body = early ? Buffer.alloc(0) : await readAll(raw);
  return { method, path: url.pathname, query: url.searchParams, headers, body };
};

/** A server on a free port of 127.0.0.1 that does what a test wants a registry to do. */
export const startServer = async (handler: Handler, options: TestServerOptions = {}): Promise<TestServer> => {
  const requests: Recorded[] = [];
  const failures: unknown[] = [];
  const listener: RequestListener = (raw, response) => {
    // A request that is given up loses its socket.
    const { socket } = raw;
    const answer = async (): Promise<void> => {
      const request = await record(raw, options.early === true);
      requests.push(request);
      await handler(request, response, raw);
    };
    answer().catch((error: unknown) => {
      // A client that hung up while it was sending is part of many tests.
      if (!socket.destroyed) failures.push(error);
      socket.destroy();
    });
  };
  const server: Server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const domain = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    domain,
    url: `${options.tls === undefined ? 'http' : 'https'}://${domain}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      if (failures.length > 0) throw failures[0] as Error;
    },
  };
};

export const sha256 = (bytes: Uint8Array | string): `sha256:${string}` =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

/** An error as registries write it: a code, and a message. */
export const sendError = (
  response: ServerResponse,
  status: number,
  error: string | readonly [string, string],
): void => {
  const [code, message] = typeof error === 'string' ? [error, error] : error;
  sendJson(response, status, { errors: [{ code, message }] });
};

export const OCI_MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

/** A manifest without layers, made different by its annotation. */
export const manifestBytes = (title: string, more: Record<string, unknown> = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST_TYPE,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 },
      layers: [],
      annotations: { title },
      ...more,
    }),
  );

export const sendManifest = (response: ServerResponse, bytes: Buffer, headers: Record<string, string> = {}): void => {
  response.writeHead(200, {
    'content-type': OCI_MANIFEST_TYPE,
    'content-length': String(bytes.length),
    'docker-content-digest': sha256(bytes),
    ...headers,
  });
  response.end(bytes);
};

/** So that a test of failures takes milliseconds. */
export const QUICK = { attempts: 3, minDelayMs: 1, maxDelayMs: 50 };
