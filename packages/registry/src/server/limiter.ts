import type { IncomingMessage } from 'node:http';

import type { Identity } from '../access/access.ts';
import type { Route } from '../routes.ts';

/** Turns away who asks too often. */
export interface RequestLimiter {
  /**
   * Before anything is looked at: by the address.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS` with `Retry-After`
   */
  admitConnection(request: IncomingMessage): void;
  /** When it is known who asks for what. @throws {@link RegistryError} `TOOMANYREQUESTS` with `Retry-After` */
  admitRequest(request: IncomingMessage, identity: Identity, route: Route): void;
}
