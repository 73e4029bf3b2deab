import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Identity } from '../access/access.ts';
import type { Route } from '../routes.ts';

/** A request that wants to be let in. */
export interface AskingRequest {
  readonly request: IncomingMessage;
  /** Its headers can be set; its end is the request's. */
  readonly response: ServerResponse;
  /** The client's, behind proxies that are trusted; undefined: it has gone already. */
  readonly address: string | undefined;
}

/** Turns away who asks too often. */
export interface RequestLimiter {
  /**
   * Before anything is looked at: by the address.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS` with `Retry-After`
   */
  admitConnection(asking: AskingRequest): void;
  /** When it is known who asks for what. @throws {@link RegistryError} `TOOMANYREQUESTS` with `Retry-After` */
  admitRequest(asking: AskingRequest, identity: Identity, route: Route): void;
}
