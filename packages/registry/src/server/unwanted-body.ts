import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import type { RegistryLimits } from './context.ts';
import { mayHaveBody } from './request-body.ts';

/**
 * Hangs up on who still sends a body `stallTimeoutMs` after it was answered. Nobody reads it, so nobody would notice how slowly
 * it comes: Node throws away what does, for as long as it does.
 */
export function dropUnwantedBody(request: IncomingMessage, { stallTimeoutMs }: RegistryLimits): void {
  // A request that was broken off has none.
  const socket = request.socket as Socket | null;
  if (request.complete || socket === null || socket.destroyed || !mayHaveBody(request)) return;
  setTimeout(() => {
    if (!request.complete) socket.destroy();
  }, stallTimeoutMs).unref();
}
