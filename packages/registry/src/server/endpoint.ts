import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Identity, Need } from '../access/access.ts';

/** One request to something that isn't the distribution API. */
export interface EndpointExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly identity: Identity;
  /** The client's, behind proxies that are trusted; undefined: it has gone already. */
  readonly address: string | undefined;
  /** Aborts when the client goes away or the registry is closed. */
  readonly signal: AbortSignal;
}

/** A place beside `/v2/`: a token server, metrics, a page. */
export interface Endpoint {
  /**
   * A path without query; one that ends in `/` is everything below it, except `/`, which is only itself. The longest that
   * fits takes the request.
   */
  readonly path: string;
  /** What a client must be allowed to do. Without any, nobody is asked who they are. */
  readonly needs: readonly Need[];
  /** Answers. @throws {@link RegistryError} what is sent instead, as at every endpoint */
  handle(exchange: EndpointExchange): Promise<void>;
}

/** The endpoint that a request target belongs to. */
export function findEndpoint(endpoints: readonly Endpoint[], url: string): Endpoint | undefined {
  const mark = url.indexOf('?');
  const asked = mark < 0 ? url : url.slice(0, mark);
  let found: Endpoint | undefined;
  for (const endpoint of endpoints) {
    const { path } = endpoint;
    const fits = path.endsWith('/') && path !== '/' ? asked.startsWith(path) : asked === path;
    if (fits && path.length > (found?.path.length ?? 0)) found = endpoint;
  }
  return found;
}
