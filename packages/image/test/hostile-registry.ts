import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { digestOf, imageId, manifestDigest, OCI_MANIFEST, type Digest, type Image } from '../src/index.ts';

/** Bytes that need not be in memory. */
export interface Content {
  readonly digest: Digest;
  readonly size: number;
  read(offset: number, length: number): Iterable<Buffer>;
}

export const contentOf = (bytes: Buffer): Content => ({
  digest: digestOf(bytes),
  size: bytes.length,
  *read(offset, length) {
    for (let at = 0; at < length; at += PIECE) yield bytes.subarray(offset + at, offset + Math.min(at + PIECE, length));
  },
});

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

export interface HostileRegistry extends AsyncDisposable {
  readonly domain: string;
  readonly behaviour: Behaviour;
  /** `GET app/manifests/latest`, in the order in which they came. */
  readonly requests: string[];
  readonly blobs: Map<string, Content>;
  /** By `app/latest` and `app/sha256:…`. */
  readonly manifests: Map<string, { readonly bytes: Buffer; readonly mediaType: string }>;
  /** Bytes of blobs that were written to a connection. */
  sentBytes: number;
  /** Bytes of blobs that came. */
  receivedBytes: number;
  add(repository: string, tag: string, image: Image): Promise<Digest>;
  addManifest(repository: string, tag: string, bytes: Buffer, mediaType: string): Digest;
}

const PIECE = 64 * 1024;

const send = (
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  body?: Buffer,
): void => {
  response.writeHead(status, { 'docker-distribution-api-version': 'registry/2.0', ...headers });
  response.end(body);
};

const missing = (response: ServerResponse, code: string): void => {
  send(
    response,
    404,
    { 'content-type': 'application/json' },
    Buffer.from(JSON.stringify({ errors: [{ code, message: 'not here' }] })),
  );
};

const collect = async (request: IncomingMessage): Promise<Buffer> =>
  Buffer.concat((await request.toArray()) as Buffer[]);

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });

const sendBlob = async (
  registry: HostileRegistry,
  content: Content,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const { behaviour } = registry;
  const range = behaviour.ignoreRange === true ? undefined : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const offset = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Math.min(Number(range[2]) + 1, content.size) : content.size;
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': end - offset,
    'docker-content-digest': content.digest,
    ...(range ? { 'content-range': `bytes ${String(offset)}-${String(end - 1)}/${String(content.size)}` } : {}),
  };
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  let at = offset;
  for (const bytes of content.read(offset, end - offset)) {
    const piece = behaviour.spoil?.(content.digest, bytes, at) ?? bytes;
    at += bytes.length;
    for (let from = 0; from < piece.length; from += behaviour.pieceBytes ?? PIECE) {
      if (behaviour.pauseMs !== undefined) await sleep(behaviour.pauseMs);
      if (response.destroyed) return;
      const part = piece.subarray(from, from + (behaviour.pieceBytes ?? PIECE));
      registry.sentBytes += part.length;
      if (!response.write(part)) await drained(response);
      const socket = response.socket as (Socket & { carried?: number }) | null;
      if (socket === null) return;
      socket.carried = (socket.carried ?? 0) + part.length;
      if (behaviour.dropAfterBytes !== undefined && socket.carried >= behaviour.dropAfterBytes) {
        // Let what was written go out first: it counts as sent.
        await new Promise((resolve) => socket.write('', resolve));
        socket.destroy();
        return;
      }
    }
  }
  response.end();
};

const handle = async (
  registry: HostileRegistry,
  uploads: Map<string, Buffer[]>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const method = request.method ?? '';
  if (url.pathname === '/v2/') return send(response, 200, {});
  registry.requests.push(`${method} ${url.pathname.slice('/v2/'.length)}`);
  if (registry.behaviour.intercept?.(request, response) === true) return;
  const [, repository = '', kind = '', rest = ''] =
    /^\/v2\/(.+?)\/(manifests|blobs\/uploads|blobs|tags)\/(.*)$/.exec(url.pathname) ?? [];
  if (kind === 'manifests')
    return await handleManifest(registry, { repository, reference: rest, method }, request, response);
  if (kind === 'blobs') {
    const content = registry.blobs.get(rest);
    return content === undefined
      ? missing(response, 'BLOB_UNKNOWN')
      : await sendBlob(registry, content, request, response);
  }
  if (kind !== 'blobs/uploads') return missing(response, 'NAME_UNKNOWN');
  if (method === 'POST') {
    await collect(request);
    const mount = url.searchParams.get('mount');
    if (mount !== null && url.searchParams.get('from') !== null && registry.blobs.has(mount))
      return send(response, 201, { location: `/v2/${repository}/blobs/${mount}`, 'docker-content-digest': mount });
    const id = randomUUID();
    uploads.set(id, []);
    return send(response, 202, {
      location: `/v2/${repository}/blobs/uploads/${id}`,
      range: '0-0',
      'content-length': 0,
    });
  }
  const parts = uploads.get(rest);
  if (parts === undefined) return missing(response, 'BLOB_UPLOAD_UNKNOWN');
  for await (const chunk of request as AsyncIterable<Buffer>) {
    parts.push(chunk);
    registry.receivedBytes += chunk.length;
  }
  const bytes = Buffer.concat(parts);
  const location = `/v2/${repository}/blobs/uploads/${rest}`;
  if (method !== 'PUT')
    return send(response, method === 'GET' ? 204 : 202, {
      location,
      range: `0-${String(Math.max(bytes.length - 1, 0))}`,
      'content-length': 0,
    });
  const digest = url.searchParams.get('digest') ?? '';
  if (digestOf(bytes) !== digest) return send(response, 400, {}, Buffer.from('{"errors":[{"code":"DIGEST_INVALID"}]}'));
  registry.blobs.set(digest, contentOf(bytes));
  return send(response, 201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
};

const handleManifest = async (
  registry: HostileRegistry,
  { repository, reference, method }: { repository: string; reference: string; method: string },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  if (method === 'PUT') {
    const bytes = await collect(request);
    const digest = registry.addManifest(repository, reference, bytes, String(request.headers['content-type']));
    return send(response, 201, { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest });
  }
  const found = registry.manifests.get(`${repository}/${reference}`);
  if (found === undefined) return missing(response, 'MANIFEST_UNKNOWN');
  const { bytes, mediaType } = found;
  const headers = {
    'content-type': mediaType,
    'content-length': bytes.length,
    'docker-content-digest': digestOf(bytes),
  };
  send(response, 200, headers, method === 'HEAD' ? undefined : bytes);
};

/** A registry in this process, which counts what it is asked and does as it is told, bad things too. */
export const startHostileRegistry = async (behaviour: Behaviour = {}): Promise<HostileRegistry> => {
  const uploads = new Map<string, Buffer[]>();
  const server = createServer((request, response) => {
    handle(registry, uploads, request, response).catch(() => {
      response.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const registry: HostileRegistry = {
    domain: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    behaviour,
    requests: [],
    blobs: new Map(),
    manifests: new Map(),
    sentBytes: 0,
    receivedBytes: 0,
    async add(repository, tag, image) {
      for (const layer of image.layers)
        registry.blobs.set(
          layer.descriptor.digest,
          contentOf(Buffer.concat((await layer.open().toArray()) as Buffer[])),
        );
      registry.blobs.set(imageId(image), contentOf(image.configBytes));
      registry.addManifest(repository, tag, image.manifestBytes, image.manifest.mediaType ?? OCI_MANIFEST);
      return manifestDigest(image);
    },
    addManifest(repository, tag, bytes, mediaType) {
      const digest = digestOf(bytes);
      for (const reference of [tag, digest]) registry.manifests.set(`${repository}/${reference}`, { bytes, mediaType });
      return digest;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return registry;
};

/** The hash of a content, read once. */
export const hashContent = (content: Omit<Content, 'digest'>): Content => {
  const hash = createHash('sha256');
  for (const piece of content.read(0, content.size)) hash.update(piece);
  return { ...content, digest: `sha256:${hash.digest('hex')}` };
};
