import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { digestOf, imageId, manifestDigest, OCI_MANIFEST, type Digest, type Image } from '../src/index.ts';

/** Bytes that need not be in memory. */
export interface Content {
  readonly digest: Digest;
  readonly size: number;
  read(offset: number, length: number): Iterable<Buffer>;
}

const PIECE = 64 * 1024;

export const contentOf = (bytes: Buffer): Content => ({
  digest: digestOf(bytes),
  size: bytes.length,
  *read(offset, length) {
    for (let at = 0; at < length; at += PIECE) yield bytes.subarray(offset + at, offset + Math.min(at + PIECE, length));
  },
});

/** The hash of a content, read once. */
export const hashContent = (content: Omit<Content, 'digest'>): Content => {
  const hash = createHash('sha256');
  for (const piece of content.read(0, content.size)) hash.update(piece);
  return { ...content, digest: `sha256:${hash.digest('hex')}` };
};

/** What the registry does that a good one doesn't; may change while it runs. */
export interface Behaviour {
  /** Handles the request itself, when it returns true. */
  intercept?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Sends other bytes of a blob. */
  spoil?: ((digest: string, bytes: Buffer, offset: number) => Buffer) | undefined;
  /** Cuts each connection when it has carried this much. */
  dropAfterBytes?: number | undefined;
  ignoreRange?: boolean | undefined;
  /** Waits so long before each piece of a blob. */
  pauseMs?: number | undefined;
  pieceBytes?: number | undefined;
}

interface StoredManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/** A registry in this process, which counts what it is asked and does as it is told, bad things too. */
export interface HostileRegistry extends AsyncDisposable {
  readonly domain: string;
  readonly behaviour: Behaviour;
  /** `GET app/manifests/latest`, in the order in which they came. */
  readonly requests: string[];
  readonly blobs: Map<string, Content>;
  /** By `app/latest` and `app/sha256:…`. */
  readonly manifests: Map<string, StoredManifest>;
  /** Bytes of blobs that were written to a connection. */
  sentBytes: number;
  add(repository: string, tag: string, image: Image): Promise<Digest>;
  /** Under `app/latest`, and under its digest. */
  addManifest(name: string, bytes: Buffer, mediaType: string): Digest;
}

/** One request and its answer. */
class Exchange {
  readonly registry: HostileRegistry;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly method: string;

  constructor(registry: HostileRegistry, request: IncomingMessage, response: ServerResponse) {
    this.registry = registry;
    this.request = request;
    this.response = response;
    this.url = new URL(request.url ?? '/', 'http://localhost');
    this.method = request.method ?? '';
  }

  send(status: number, headers: OutgoingHttpHeaders = {}, body?: Buffer): void {
    this.response.writeHead(status, { 'docker-distribution-api-version': 'registry/2.0', ...headers });
    this.response.end(this.method === 'HEAD' ? undefined : body);
  }

  fail(status: number, code: string): void {
    const body = Buffer.from(JSON.stringify({ errors: [{ code, message: 'no' }] }));
    this.send(status, { 'content-type': 'application/json' }, body);
  }

  async body(): Promise<Buffer> {
    return Buffer.concat((await this.request.toArray()) as Buffer[]);
  }

  /** Writes a part of a blob; false when there is no connection any more. */
  async write(part: Buffer): Promise<boolean> {
    const { behaviour } = this.registry;
    if (behaviour.pauseMs !== undefined) await sleep(behaviour.pauseMs);
    if (this.response.destroyed) return false;
    this.registry.sentBytes += part.length;
    if (!this.response.write(part)) await this.#drained();
    const socket: (Socket & { carried?: number }) | null = this.response.socket;
    if (socket === null) return false;
    socket.carried = (socket.carried ?? 0) + part.length;
    if (behaviour.dropAfterBytes === undefined || socket.carried < behaviour.dropAfterBytes) return true;
    // Let what was written go out first: it counts as sent.
    await new Promise((resolve) => socket.write('', resolve));
    socket.destroy();
    return false;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.response.off('drain', done).off('close', done);
        resolve();
      };
      this.response.on('drain', done).on('close', done);
    });
  }
}

const sendBlob = async (exchange: Exchange, content: Content | undefined): Promise<void> => {
  const { registry, request, response } = exchange;
  const { behaviour } = registry;
  if (content === undefined) {
    exchange.fail(404, 'BLOB_UNKNOWN');
    return;
  }
  const range = behaviour.ignoreRange === true ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const offset = Number(range?.[1] ?? 0);
  const end = Math.min(Number(range?.[2] ?? content.size - 1) + 1, content.size);
  response.writeHead(range === null ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': end - offset,
    'docker-content-digest': content.digest,
    ...(range && { 'content-range': `bytes ${String(offset)}-${String(end - 1)}/${String(content.size)}` }),
  });
  let at = offset;
  for (const bytes of exchange.method === 'HEAD' ? [] : content.read(offset, end - offset)) {
    const piece = behaviour.spoil?.(content.digest, bytes, at) ?? bytes;
    at += bytes.length;
    const step = behaviour.pieceBytes ?? PIECE;
    for (let from = 0; from < piece.length; from += step)
      if (!(await exchange.write(piece.subarray(from, from + step)))) return;
  }
  response.end();
};

const handleManifest = async (exchange: Exchange, repository: string, reference: string): Promise<void> => {
  const { registry, request } = exchange;
  const name = `${repository}/${reference}`;
  if (exchange.method === 'PUT') {
    const digest = registry.addManifest(name, await exchange.body(), String(request.headers['content-type']));
    exchange.send(201, { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest });
    return;
  }
  const found = registry.manifests.get(name);
  if (found === undefined) exchange.fail(404, 'MANIFEST_UNKNOWN');
  else {
    const { bytes, mediaType } = found;
    const headers = { 'content-length': bytes.length, 'docker-content-digest': digestOf(bytes) };
    exchange.send(200, { ...headers, 'content-type': mediaType }, bytes);
  }
};

/** Uploads that have begun, by the name that they got. */
class Uploads {
  readonly #parts = new Map<string, Buffer[]>();

  async begin(exchange: Exchange, repository: string): Promise<void> {
    await exchange.body();
    const { blobs } = exchange.registry;
    const mount = exchange.url.searchParams.get('mount');
    if (mount !== null && blobs.has(mount)) {
      exchange.send(201, { location: `/v2/${repository}/blobs/${mount}`, 'docker-content-digest': mount });
      return;
    }
    const id = randomUUID();
    this.#parts.set(id, []);
    exchange.send(202, { location: `/v2/${repository}/blobs/uploads/${id}`, range: '0-0', 'content-length': 0 });
  }

  async go(exchange: Exchange, repository: string, id: string): Promise<void> {
    const parts = this.#parts.get(id);
    if (parts === undefined) {
      exchange.fail(404, 'BLOB_UPLOAD_UNKNOWN');
      return;
    }
    for await (const chunk of exchange.request as AsyncIterable<Buffer>) parts.push(chunk);
    const bytes = Buffer.concat(parts);
    const digest = exchange.url.searchParams.get('digest') ?? '';
    if (exchange.method !== 'PUT') {
      const range = `0-${String(Math.max(bytes.length - 1, 0))}`;
      exchange.send(exchange.method === 'GET' ? 204 : 202, {
        location: `/v2/${repository}/blobs/uploads/${id}`,
        range,
        'content-length': 0,
      });
    } else if (digestOf(bytes) === digest) {
      exchange.registry.blobs.set(digest, contentOf(bytes));
      exchange.send(201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
    } else exchange.fail(400, 'DIGEST_INVALID');
  }
}

const handle = async (exchange: Exchange, uploads: Uploads): Promise<void> => {
  const { registry, request, response, url } = exchange;
  if (url.pathname === '/v2/') {
    exchange.send(200);
    return;
  }
  registry.requests.push(`${exchange.method} ${url.pathname.slice('/v2/'.length)}`);
  if (registry.behaviour.intercept?.(request, response) === true) return;
  const [, repository = '', kind = '', rest = ''] =
    /^\/v2\/(.+?)\/(manifests|blobs\/uploads|blobs)\/(.*)$/.exec(url.pathname) ?? [];
  if (kind === 'manifests') await handleManifest(exchange, repository, rest);
  else if (kind === 'blobs') await sendBlob(exchange, registry.blobs.get(rest));
  else if (kind === '') exchange.fail(404, 'NAME_UNKNOWN');
  else if (exchange.method === 'POST') await uploads.begin(exchange, repository);
  else await uploads.go(exchange, repository, rest);
};

class Registry implements HostileRegistry {
  readonly behaviour: Behaviour;
  readonly requests: string[] = [];
  readonly blobs = new Map<string, Content>();
  readonly manifests = new Map<string, StoredManifest>();
  sentBytes = 0;
  readonly #server = createServer((request, response) => {
    handle(new Exchange(this, request, response), this.#uploads).catch(() => {
      response.destroy();
    });
  });
  readonly #uploads = new Uploads();

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour;
  }

  get domain(): string {
    return `127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async add(repository: string, tag: string, image: Image): Promise<Digest> {
    for (const layer of image.layers) {
      const bytes = Buffer.concat((await layer.open().toArray()) as Buffer[]);
      this.blobs.set(layer.descriptor.digest, contentOf(bytes));
    }
    this.blobs.set(imageId(image), contentOf(image.configBytes));
    this.addManifest(`${repository}/${tag}`, image.manifestBytes, image.manifest.mediaType ?? OCI_MANIFEST);
    return manifestDigest(image);
  }

  addManifest(name: string, bytes: Buffer, mediaType: string): Digest {
    const digest = digestOf(bytes);
    this.manifests.set(name, { bytes, mediaType });
    this.manifests.set(`${name.slice(0, name.lastIndexOf('/'))}/${digest}`, { bytes, mediaType });
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

export const startHostileRegistry = async (behaviour: Behaviour = {}): Promise<HostileRegistry> => {
  const registry = new Registry(behaviour);
  await registry.listen();
  return registry;
};
