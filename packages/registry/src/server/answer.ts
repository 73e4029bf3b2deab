import type { IncomingMessage, ServerResponse } from 'node:http';

import { errorBody, RegistryError } from '../errors.ts';
import { mayHaveBody } from './request-body.ts';

/** The two ends of an answer. */
export interface Answering {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export type Headers = Readonly<Record<string, string | number | readonly string[]>>;

/** What is read and thrown away of a body that nobody wanted; any manifest is less. */
const DISCARD_BYTES = 8 * 1024 * 1024;
/** How long a client that was answered before it had sent everything may go on, or read the answer. */
const LINGER_MS = 2000;

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
  const unread = !request.complete && mayHaveBody(request);
  writeHead(response, error.status, {
    ...error.headers,
    'Content-Type': 'application/json',
    'Content-Length': body.byteLength,
    ...(unread ? { Connection: 'close' } : {}),
  });
  // Of a body that stopped arriving, nothing more will come.
  if (unread && error.status !== 408) {
    // The end of an answer closes the connection, and closing while bytes arrive takes back what was sent through it.
    response.write(body);
    await linger(request);
    response.end();
  } else response.end(request.method === 'HEAD' ? undefined : body);
}

/** Resolves when a body has arrived, its sender is gone, or there was time to see the answer. */
async function linger(request: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => resolve(undefined);
  const timer = setTimeout(done, LINGER_MS);
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > DISCARD_BYTES) request.pause();
  });
  request.on('end', done);
  request.on('close', done);
  request.resume();
  await promise;
  clearTimeout(timer);
}

function writeHead(response: ServerResponse, status: number, headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.writeHead(status);
}
