import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { EVERYBODY } from '../access/access.ts';
import type { Identity } from '../access/access.ts';
import type { RegistryErrorCode } from '../errors.ts';
import { clientAddress } from '../operation/address.ts';
import { directlySentBytes } from './direct-send.ts';
import type { EventOrigin, RequestRecord } from './events.ts';

/** What web servers write down for a client that went away. */
const WENT_AWAY = 499;

/** What a query of the distribution API can have; none of it is a secret. */
const KNOWN_QUERY: ReadonlySet<string> = new Set([
  'artifactType',
  'digest',
  'digest-algorithm',
  'from',
  'last',
  'mount',
  'n',
  'ns',
  'tag',
]);

interface Traffic {
  readonly readBytes: number;
  readonly writtenBytes: number;
}

const trafficOf = (socket: Socket): Traffic => ({
  readBytes: socket.bytesRead,
  writtenBytes: socket.bytesWritten + directlySentBytes(socket),
});

/** What is counted already: the first bytes of a request have been read when it begins. */
const counted = new WeakMap<Socket, Traffic>();

/** A request and its answer, with what becomes known of them on the way. */
export class Conversation {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string = randomUUID();
  /** Kept, because a request forgets it when it is broken off. */
  readonly #socket: Socket;
  /** Kept, because a socket forgets it when it is closed. */
  readonly address: string | undefined;
  identity: Identity = EVERYBODY;
  route: string | undefined;
  name: string | undefined;
  errorCode: RegistryErrorCode | undefined;
  readonly #begun = performance.now();

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    isProxy: (address: string | undefined) => boolean = () => false,
  ) {
    this.request = request;
    this.response = response;
    this.#socket = request.socket;
    this.address = clientAddress(request, isProxy);
  }

  origin(): EventOrigin {
    const { identity, request, requestId, address } = this;
    return {
      requestId,
      atMs: Date.now(),
      account: identity.account,
      address,
      method: request.method ?? '',
      host: request.headers.host,
      userAgent: request.headers['user-agent'],
    };
  }

  #traffic(): Pick<RequestRecord, 'receivedBytes' | 'sentBytes'> {
    const socket = this.#socket;
    const before = counted.get(socket) ?? { readBytes: 0, writtenBytes: 0 };
    const now = trafficOf(socket);
    counted.set(socket, now);
    return {
      receivedBytes: now.readBytes - before.readBytes,
      sentBytes: now.writtenBytes - before.writtenBytes,
    };
  }

  /** Resolves when the answer has left, or never will. */
  async record(): Promise<RequestRecord> {
    const { request, response } = this;
    await new Promise<void>((resolve) => {
      if (response.closed) resolve();
      else response.once('close', resolve);
    });
    return {
      ...this.origin(),
      url: shownUrl(request.url ?? ''),
      route: this.route,
      name: this.name,
      status: response.headersSent ? response.statusCode : WENT_AWAY,
      complete: response.writableFinished,
      errorCode: this.errorCode,
      durationMs: performance.now() - this.#begun,
      ...this.#traffic(),
    };
  }
}

/** A request target without what could be a secret: the query of a token request is one, and what others put into ours. */
export function shownUrl(url: string): string {
  if (!url.startsWith('/')) return '***';
  const [path = '', ...rest] = url.split('?');
  if (rest.length === 0 || !path.startsWith('/v2/')) return path;
  const query = rest
    .join('?')
    .split('&')
    .map((part) => {
      const [key = ''] = part.split('=', 1);
      return KNOWN_QUERY.has(key) ? part : `${/^[\w-]{1,64}$/.test(key) && part !== key ? `${key}=` : ''}***`;
    });
  return `${path}?${query.join('&')}`;
}
