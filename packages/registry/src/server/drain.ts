import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

import { errorBody, RegistryError } from '../errors.ts';

/** Lets requests end before a server does. */
export interface Drain {
  /** What the server is to listen with. */
  readonly handler: RequestListener;
  /**
   * Stops listening. Requests that are under way have `graceMs` to end, then they are broken off; new ones, on connections that
   * are still there, get a 503.
   */
  close(server: Server, graceMs: number): Promise<void>;
}

const GOING = new RegistryError('UNSUPPORTED', 'this registry is going away', { status: 503 });
const GOING_BODY = JSON.stringify(errorBody(GOING));

/** Puts a door in front of a handler that can be closed. */
export function makeDrain(handler: RequestListener): Drain {
  const running = new Set<ServerResponse>();
  let closing: Server | undefined;
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    if (closing !== undefined) {
      turnAway(request, response);
      return;
    }
    running.add(response);
    response.once('close', () => {
      running.delete(response);
      // A connection that is kept for a next request has none to wait for any more.
      setImmediate(() => closing?.closeIdleConnections());
    });
    handler(request, response);
  };
  const close: Drain['close'] = async (server, graceMs) => {
    closing = server;
    if (!server.listening) return;
    for (const response of running) if (!response.headersSent) response.shouldKeepAlive = false;
    const closed = once(server, 'close');
    server.close();
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  };
  return { handler: take, close };
}

function turnAway(request: IncomingMessage, response: ServerResponse): void {
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(GOING_BODY) };
  response.writeHead(503, { ...headers, Connection: 'close', 'Retry-After': '5' });
  response.end(request.method === 'HEAD' ? undefined : GOING_BODY);
}
