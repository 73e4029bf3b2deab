import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';

import { errorBody, RegistryError } from '../errors.ts';

/** The two ends of an answer. */
export interface Answering {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export type Headers = Readonly<Record<string, string | number | readonly string[]>>;

/** What is read and thrown away of a body that nobody wanted, so that its sender gets to read the answer. */
const DISCARD_BYTES = 1024 * 1024;
const DISCARD_MS = 2000;

/** Answers without a body. */
export function sendEmpty({ response }: Answering, status: number, headers: Headers = {}): void {
  writeHead(response, status, { ...(status === 204 || status === 304 ? {} : { 'Content-Length': 0 }), ...headers });
  response.end();
}

/** Answers with bytes, or for HEAD with what would come with them. */
export function sendBytes({ request, response }: Answering, bytes: Uint8Array, headers: Headers): void {
  writeHead(response, 200, { 'Content-Length': bytes.byteLength, ...headers });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export const sendJson = (exchange: Answering, value: unknown, headers: Headers = {}): void =>
  sendBytes(exchange, Buffer.from(JSON.stringify(value)), { 'Content-Type': 'application/json', ...headers });

/** Answers with an error as the specification writes it. Nothing happens when an answer has begun: then it is cut off. */
export async function sendError(exchange: Answering, error: RegistryError): Promise<void> {
  const { request, response } = exchange;
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify(errorBody(error)));
  const unread = !request.complete;
  writeHead(response, error.status, {
    ...error.headers,
    'Content-Type': 'application/json',
    'Content-Length': body.byteLength,
    ...(unread ? { Connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
  if (unread) await discardRest(exchange);
}

/** Closing a socket while bytes arrive takes back what was sent through it, so some more are let in. */
async function discardRest({ request, response }: Answering): Promise<void> {
  let bytes = 0;
  const stop = (): void => void request.destroy();
  const timer = setTimeout(stop, DISCARD_MS);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > DISCARD_BYTES) stop();
  });
  request.resume();
  await Promise.allSettled([finished(request), finished(response)]);
  clearTimeout(timer);
}

function writeHead(response: ServerResponse, status: number, headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.writeHead(status);
}
