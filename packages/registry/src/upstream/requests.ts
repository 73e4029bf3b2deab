import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { errorBody, RegistryError } from '../errors.ts';

/** The answer that is being made, for whoever has something to say about it that isn't its content. */
const answers = new AsyncLocalStorage<ServerResponse>();

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Adds a warning to the answer that is being made, if it is known which. */
export function warn(text: string): void {
  const response = answers.getStore();
  if (response === undefined || response.headersSent) return;
  response.setHeader('Warning', `299 - ${JSON.stringify(text)}`);
}

/** What requests of this process to upstreams say about themselves. */
export const USER_AGENT: string = `tsc-registry-cache (${randomUUID()})`;

/**
 * Wraps a registry's handler, so that an answer from a cache whose upstream is away says so with `Warning`, and a request that
 * this process has sent to itself, because an upstream is this very registry, ends at once with a 508.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7234#section-5.5
 * @example createServer(withCacheHeaders(registry.handler))
 */
export const withCacheHeaders =
  (handler: Handler): Handler =>
  (request, response) => {
    if (request.headers['user-agent'] === USER_AGENT) refuseLoop(request, response);
    else answers.run(response, () => handler(request, response));
  };

function refuseLoop(request: IncomingMessage, response: ServerResponse): void {
  const error = new RegistryError('UNSUPPORTED', 'this registry is its own upstream', { status: 508 });
  request.resume();
  response.writeHead(error.status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(errorBody(error)));
}
