import { equal, ok } from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

import type { Algorithm, Digest } from '../names.ts';

/** A rule of the distribution specification; `run` throws an `AssertionError` when a registry doesn't keep it. */
export interface ConformanceCase {
  readonly id: string;
  /** The heading in the specification, or the RFC. */
  readonly section: string;
  readonly level: 'MUST' | 'SHOULD' | 'MAY' | 'OURS';
  readonly title: string;
  readonly run: (target: ConformanceTarget) => Promise<void>;
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | readonly Uint8Array[] | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCTETS = 'application/octet-stream';

export const digestOf = (bytes: Uint8Array | string, algorithm: Algorithm = 'sha256'): Digest =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;

export interface Described {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

export const describe = (bytes: Uint8Array, mediaType: string): Described => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.byteLength,
});

/** A registry by its URL, spoken to without anything that would tidy up a path or a header. */
export class ConformanceTarget implements Disposable {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: false });
  #names = 0;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** A repository that nobody has used. */
  freshName(): string {
    this.#names += 1;
    return `conformance/${randomBytes(6).toString('hex')}-${String(this.#names)}`;
  }

  /** Sends a request. A body of several pieces is streamed without a length. */
  send(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<Answer> {
    const target = path.startsWith('http') ? new URL(path) : undefined;
    const { hostname, port } = this.#url;
    const whole = body instanceof Uint8Array || body === undefined;
    const length = whole ? { 'Content-Length': String(body?.byteLength ?? 0) } : { 'Transfer-Encoding': 'chunked' };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const options = {
      method,
      hostname,
      port,
      path: target === undefined ? path : `${target.pathname}${target.search}`,
      agent: this.#agent,
      headers: method === 'GET' || method === 'HEAD' ? headers : { ...length, ...headers },
    };
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    outgoing.on('error', reject);
    for (const piece of whole ? [] : body) outgoing.write(piece);
    outgoing.end(whole ? body : undefined);
    return promise;
  }

  /** Begins an upload and returns where it goes on. */
  async start(name: string, query = ''): Promise<string> {
    const answer = await this.send('POST', `/v2/${name}/blobs/uploads/${query}`);
    equal(answer.status, 202);
    return locationOf(answer);
  }

  async pushBlob(name: string, bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Promise<Digest> {
    const digest = digestOf(bytes, algorithm);
    const location = await this.start(name, algorithm === 'sha256' ? '' : `?digest-algorithm=${algorithm}`);
    const answer = await this.send('PUT', withQuery(location, `digest=${digest}`), {
      headers: { 'Content-Type': OCTETS },
      body: bytes,
    });
    equal(answer.status, 201);
    return digest;
  }

  async pushManifest(name: string, reference: string, document: object): Promise<Described> {
    const bytes = Buffer.from(JSON.stringify(document));
    const mediaType = 'mediaType' in document ? String(document.mediaType) : MANIFEST;
    const answer = await this.putManifest(name, reference, { body: bytes, headers: { 'Content-Type': mediaType } });
    equal(answer.status, 201, answer.body.toString());
    return describe(bytes, mediaType);
  }

  putManifest(name: string, reference: string, sent: Sent): Promise<Answer> {
    return this.send('PUT', `/v2/${name}/manifests/${reference}`, sent);
  }

  /** Pushes a config and a layer, and returns a manifest of them that is still to be pushed. */
  async image(name: string, more: object = {}): Promise<object> {
    const [config, layer] = [Buffer.from(`{"salt":"${randomBytes(6).toString('hex')}"}`), randomBytes(64)];
    await Promise.all([this.pushBlob(name, config), this.pushBlob(name, layer)]);
    return {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: describe(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [describe(layer, 'application/vnd.oci.image.layer.v1.tar')],
      ...more,
    };
  }
}

export const withQuery = (location: string, query: string): string =>
  `${location}${location.includes('?') ? '&' : '?'}${query}`;

export function locationOf({ headers }: Answer): string {
  ok(headers.location !== undefined, 'no Location');
  return headers.location;
}

const CODES: ReadonlySet<string> = new Set([
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]);

/** Wants one of some statuses, and of a 4xx with a body that it is written as the specification says. */
export function wantStatus(answer: Answer, ...statuses: readonly number[]): void {
  ok(
    statuses.includes(answer.status),
    `status ${answer.status} instead of ${statuses.join(' or ')}: ${answer.body.toString()}`,
  );
}

/** The codes of an error body. */
export function errorCodes({ body, headers }: Answer): readonly string[] {
  ok(
    headers['content-type']?.startsWith('application/json'),
    `the error is ${headers['content-type'] ?? 'of no type'}`,
  );
  const { errors } = JSON.parse(body.toString()) as { readonly errors: readonly { readonly code: string }[] };
  ok(errors.length > 0);
  for (const { code } of errors) ok(CODES.has(code), `unknown code ${code}`);
  return errors.map(({ code }) => code);
}

export function wantError(answer: Answer, status: number, code: string): void {
  wantStatus(answer, status);
  ok(errorCodes(answer).includes(code), `no ${code} in ${answer.body.toString()}`);
}

export const json = ({ body }: Answer): Record<string, unknown> =>
  JSON.parse(body.toString()) as Record<string, unknown>;
