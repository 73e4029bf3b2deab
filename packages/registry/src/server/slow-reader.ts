import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { RegistryLimits } from './context.ts';
import { directlySentBytes } from './direct-send.ts';

/** What Node has of a connection: not in the documented interface, so it may be missing. */
interface Handle {
  readonly bytesWritten?: unknown;
  readonly writeQueueSize?: unknown;
}

/** Bytes that the kernel has taken of what was written. Undefined: nobody knows. */
function takenBytes(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null };
  const { bytesWritten, writeQueueSize } = handle ?? {};
  if (typeof bytesWritten !== 'number' || typeof writeQueueSize !== 'number') return undefined;
  return bytesWritten - writeQueueSize + directlySentBytes(socket);
}

/**
 * Hangs up on a reader that doesn't take the rest of an answer that is ended but hasn't left, or takes it too slowly. Answers
 * that are sent piece by piece see to that themselves.
 */
export function dropSlowReader(
  { response }: { readonly response: ServerResponse },
  { stallTimeoutMs, minBytesPerSecond }: RegistryLimits,
): void {
  const { socket } = response;
  if (response.writableLength === 0 || response.closed || socket === null || socket.destroyed) return;
  const minBytes = Math.max(1, (minBytesPerSecond * stallTimeoutMs) / 1000);
  let before = takenBytes(socket);
  const timer = setInterval(() => {
    const taken = takenBytes(socket);
    if (taken !== undefined && before !== undefined && taken - before < minBytes) socket.destroy();
    before = taken;
  }, stallTimeoutMs).unref();
  response.once('close', () => clearInterval(timer));
}
