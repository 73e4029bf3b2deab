import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { EVERYBODY } from '../access/access.ts';
import type { Identity } from '../access/access.ts';
import type { RegistryErrorCode } from '../errors.ts';
import type { EventOrigin, RequestRecord } from './events.ts';

/** What web servers write down for a client that went away. */
const WENT_AWAY = 499;

/** A request and its answer, with what becomes known of them on the way. */
export class Conversation {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string = randomUUID();
  identity: Identity = EVERYBODY;
  route: string | undefined;
  name: string | undefined;
  errorCode: RegistryErrorCode | undefined;
  readonly #begun = performance.now();
  readonly #readBefore: number;
  readonly #writtenBefore: number;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    this.#readBefore = request.socket.bytesRead;
    this.#writtenBefore = request.socket.bytesWritten;
  }

  origin(): EventOrigin {
    const { identity, request, requestId } = this;
    return { requestId, atMs: Date.now(), account: identity.account, address: request.socket.remoteAddress };
  }

  /** What comes with a token request is a secret; the queries of the distribution API aren't. */
  #url(): string {
    const url = this.request.url ?? '';
    return url.startsWith('/v2/') ? url : (url.split('?', 1)[0] ?? '');
  }

  /** Resolves when the answer has left, or never will. */
  async record(): Promise<RequestRecord> {
    const { request, response } = this;
    const origin = this.origin();
    if (!response.closed) await once(response, 'close');
    return {
      ...origin,
      method: request.method ?? '',
      url: this.#url(),
      route: this.route,
      name: this.name,
      userAgent: request.headers['user-agent'],
      status: response.headersSent ? response.statusCode : WENT_AWAY,
      errorCode: this.errorCode,
      durationMs: performance.now() - this.#begun,
      receivedBytes: request.socket.bytesRead - this.#readBefore,
      sentBytes: request.socket.bytesWritten - this.#writtenBefore,
    };
  }
}
