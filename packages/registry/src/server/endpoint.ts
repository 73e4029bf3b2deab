import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Identity, Need } from '../access/access.ts';

/** One request to something that isn't the distribution API. */
export interface EndpointExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly identity: Identity;
  /** Aborts when the client goes away or the registry is closed. */
  readonly signal: AbortSignal;
}

/** A place beside `/v2/`: a token server, metrics, a page. */
export interface Endpoint {
  /** A path without query; one that ends in `/` is everything below it. The longest that fits takes the request. */
  readonly path: string;
  /** What a client must be allowed to do. */
  readonly needs: readonly Need[];
  /** Answers. @throws {@link RegistryError} what is sent instead, as at every endpoint */
  handle(exchange: EndpointExchange): Promise<void>;
}

/** The endpoint that a request target belongs to. */
export function findEndpoint(endpoints: readonly Endpoint[], url: string): Endpoint | undefined {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  return endpoints
    .filter((endpoint) => (endpoint.path.endsWith('/') ? path.startsWith(endpoint.path) : path === endpoint.path))
    .toSorted((a, b) => b.path.length - a.path.length)[0];
}
