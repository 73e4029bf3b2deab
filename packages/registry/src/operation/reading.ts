import type { IncomingMessage } from 'node:http';

import { RegistryError } from '../errors.ts';

/** @throws {@link RegistryError} `UNSUPPORTED`, 405: it is not GET, nor HEAD */
export function checkReads({ method }: IncomingMessage): void {
  if (method === 'GET' || method === 'HEAD') return;
  throw new RegistryError('UNSUPPORTED', 'this can only be read', { headers: { Allow: 'GET, HEAD' } });
}
