import { INDEX, MANIFEST } from '../src/testing/case.ts';
import { digestOf } from '../src/testing/case.ts';
import { fuzzedDocument } from './fuzz-documents.ts';
import type { Known } from './fuzz-documents.ts';
import type { Random } from './fuzz-random.ts';
import { fuzzedTarget, name } from './fuzz-targets.ts';
import type { Kind } from './fuzz-targets.ts';

/** What is written on one connection. */
export interface Episode {
  readonly bytes: Buffer;
  /** Of the request, where it is only one and well-formed enough for that. */
  readonly method: string | undefined;
  /** Whether the client goes away before it could have been answered. */
  readonly cut: boolean;
  /** What a blob that is pushed is called, to be learnt when it is taken. */
  readonly pushes: 'manifest' | 'blob' | undefined;
}

const METHODS = {
  manifest: ['GET', 'HEAD', 'PUT', 'PUT', 'PUT', 'PUT', 'DELETE'],
  blob: ['GET', 'GET', 'HEAD', 'DELETE'],
  start: ['POST'],
  upload: ['PATCH', 'PATCH', 'PUT', 'GET', 'HEAD', 'DELETE'],
  list: ['GET', 'HEAD'],
  other: ['GET', 'PUT', 'POST', 'DELETE'],
} as const satisfies Record<Kind, readonly string[]>;

const ODD_METHODS = [
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'get',
  'PURGE',
  'CONNECT',
  'BREW',
  'QUERY',
  'G\0T',
  '__proto__',
] as const;
const NUMBERS = ['0', '1', '5', '10', '-1', '9007199254740992', '99999999999999999999', 'x', ''] as const;

const range = (random: Random): string =>
  random.pick<() => string>([
    () => `bytes=${random.pick(NUMBERS)}-${random.pick(NUMBERS)}`,
    () => `bytes=-${random.pick(NUMBERS)}`,
    () => `bytes=0-0,${'1-1,'.repeat(random.int(500))}2-2`,
    () => `items=0-${random.pick(NUMBERS)}`,
    () => 'bytes=',
    () => '-',
  ])();

/** Headers that mean something here, with what they may not be. */
const header = (random: Random): string =>
  random.pick<() => string>([
    () => `Range: ${range(random)}`,
    () => `Content-Range: ${random.pick(['', 'bytes '])}${random.pick(NUMBERS)}-${random.pick(NUMBERS)}`,
    () => `If-Match: ${random.pick(['*', '""', '"x"', `"${digestOf('nothing')}"`, ','.repeat(2000)])}`,
    () => `If-None-Match: ${random.pick(['*', 'W/"x"', `"${digestOf('nothing')}"`, ','.repeat(2000)])}`,
    () => `If-Range: ${random.pick(['"x"', 'Wed, 21 Oct 2015 07:28:00 GMT', ''])}`,
    () => `Accept: ${random.pick(['*/*', 'text/html', MANIFEST, ',;,', 'a/b;q=x', '*'.repeat(5000)])}`,
    () => `Content-Type: ${random.pick([INDEX, 'text/html', '', ';', 'a/b\tc', 'x'.repeat(3000), '../..'])}`,
    () =>
      `Authorization: ${random.pick(['Basic', 'Basic !!!', 'Basic OjpgOg==', 'Bearer', 'Bearer a.b.c', 'x'.repeat(5000)])}`,
    () => `Expect: ${random.pick(['100-continue', '200-ok', ''])}`,
    () => `Connection: ${random.pick(['keep-alive', 'Upgrade', 'Content-Length', ''])}`,
    () => `Upgrade: ${random.pick(['websocket', 'h2c', 'TLS/1.0'])}\r\nConnection: Upgrade`,
    () =>
      `Transfer-Encoding: ${random.pick(['chunked', 'identity', 'gzip', 'chunked, identity', ' chunked', 'xchunked'])}`,
    () => `Content-Length: ${random.pick(NUMBERS)}`,
    () => `X-Forwarded-For: ${random.pick(['127.0.0.1', '../..', 'x'.repeat(4000)])}`,
    () => `Host: ${random.pick(['b', '', '../..', 'a:99999', '[::1'])}`,
    () => `Content-Encoding: ${random.pick(['gzip', 'x'])}`,
    () => 'Transfer-Encoding : chunked',
    () => ' folded: x',
    () => `X-${'y'.repeat(random.int(20_000))}: z`,
    () => `X: a\0b`,
    () => `__proto__: x`,
  ])();

const chunked = (body: Buffer, random: Random): Buffer => {
  const size = random.chance(0.85)
    ? body.byteLength.toString(16)
    : random.pick(['-1', 'ffffffffffffffff', '0x5', '5;a=b', 'g', '']);
  const end = random.chance(0.9)
    ? '\r\n0\r\n\r\n'
    : random.pick(['', '\r\n', '\r\n0\r\nX: y\r\n\r\n', '\r\n0\r\nContent-Length: 5\r\n\r\n']);
  if (body.byteLength === 0) return Buffer.from('0\r\n\r\n');
  return Buffer.concat([Buffer.from(`${size}\r\n`), body, Buffer.from(end)]);
};

interface Message {
  readonly head: readonly string[];
  readonly body: Buffer;
}

function framed(random: Random, bytes: Buffer, hasBody: boolean): Message {
  if (!hasBody && bytes.byteLength === 0) return { head: [], body: bytes };
  if (random.chance(0.15)) return { head: ['Transfer-Encoding: chunked'], body: chunked(bytes, random) };
  const lie = random.chance(0.04) ? random.pick([-1, 1, 1000, 1e12]) : 0;
  const smuggled = random.chance(0.02) ? ['Transfer-Encoding: chunked'] : [];
  return { head: [`Content-Length: ${String(Math.max(0, bytes.byteLength + lie))}`, ...smuggled], body: bytes };
}

/** An upload's bytes are few and alike, so that they are met again by their digests. */
const blobBytes = (random: Random): Buffer =>
  Buffer.from('abcdefgh'.repeat(random.int(random.chance(0.05) ? 20_000 : 4)));

/** A push of a blob that would be taken, so that there is always something to be wrong about. */
function goodPush(random: Random): Episode {
  const body = Buffer.concat([blobBytes(random), Buffer.from(String(random.int(1000)))]);
  const path = `/v2/${name(random)}/blobs/uploads/?digest=${digestOf(body)}`;
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${String(body.byteLength)}\r\n\r\n`;
  return { bytes: Buffer.concat([Buffer.from(head), body]), method: 'POST', cut: false, pushes: 'blob' };
}

interface Single extends Omit<Episode, 'cut'> {
  readonly method: string;
}

function single(random: Random, known: Known, last: boolean): Single {
  const { kind, path } = fuzzedTarget(random, known);
  const methods: readonly string[] = random.chance(0.95)
    ? METHODS[kind]
    : random.chance(0.5)
      ? ODD_METHODS
      : METHODS.upload;
  const method = random.some(methods) ?? 'GET';
  const hasBody = method === 'PUT' || method === 'PATCH' || method === 'POST';
  const isDocument = kind === 'manifest' && method === 'PUT';
  const body = isDocument
    ? fuzzedDocument(random, known)
    : hasBody || random.chance(0.05)
      ? blobBytes(random)
      : Buffer.alloc(0);
  // What an upload holds is often finished as it should be.
  const finished = kind === 'upload' && method === 'PUT' && random.chance(0.7) && !path.includes('?');
  const target = finished ? `${path}?digest=${digestOf(body)}` : path;
  const message = framed(random, body, hasBody);
  const type = isDocument && random.chance(0.1) ? ['Content-Type: application/vnd.x+json'] : [];
  const ranged = kind === 'blob' && random.chance(0.3) ? [`Range: ${range(random)}`] : [];
  const digest = path.slice(path.lastIndexOf('/') + 1);
  const conditional = hasBody || random.chance(0.9) ? [] : [`If-None-Match: "${digest}"`];
  const odd = Array.from({ length: random.chance(0.35) ? 1 + random.int(3) : 0 }, () => header(random));
  const version = random.chance(0.98)
    ? 'HTTP/1.1'
    : random.pick(['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/9.9', 'HTTP/1', '']);
  const headers = [
    ...(random.chance(0.99) ? ['Host: a'] : []),
    ...(last ? ['Connection: close'] : []),
    ...message.head,
    ...type,
    ...ranged,
    ...conditional,
    ...odd,
  ];
  const head = `${method} ${target} ${version}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`;
  return {
    bytes: Buffer.concat([Buffer.from(head), message.body]),
    method,
    pushes: isDocument ? 'manifest' : undefined,
  };
}

/** Damage that no grammar foresees. */
function damage(random: Random, bytes: Buffer): Buffer {
  const at = random.int(bytes.byteLength);
  const hits = [
    () => Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.int(8)), bytes.subarray(at)]),
    () => bytes.subarray(0, at),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.byteLength, at + 1 + random.int(20)))]),
    () => Buffer.from(bytes.toString('latin1').replaceAll('\r\n', random.pick(['\n', '\r', '\r\r\n'])), 'latin1'),
    () => Buffer.concat([random.bytes(random.int(200)), bytes]),
  ] as const;
  return random.pick(hits)();
}

/** What the client with this random source does. */
export function makeEpisode(random: Random, known: Known): Episode {
  if (random.chance(0.1)) return goodPush(random);
  const cut = random.chance(0.03);
  if (random.chance(0.06)) {
    const many = Array.from({ length: 2 + random.int(4) }, (_, at, count = 4) => single(random, known, at === count));
    return { bytes: Buffer.concat(many.map(({ bytes }) => bytes)), method: undefined, cut, pushes: undefined };
  }
  const one = single(random, known, random.chance(0.95));
  if (random.chance(0.04)) return { bytes: damage(random, one.bytes), method: undefined, cut, pushes: undefined };
  return { ...one, cut };
}
