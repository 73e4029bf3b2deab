import type { ServerResponse } from 'node:http';

import { sendError, sha256, startServer, type Handler, type Recorded, type TestServer } from './registry-server.ts';

/** What is peculiar about a registry's uploads. */
export interface UploadBehaviour {
  /** Drops the connection of these requests (by their number among PATCH and PUT) after so many bytes. */
  readonly drops?: Readonly<Record<number, number>> | undefined;
  /** Forgets the upload whenever it drops. */
  readonly forgets?: boolean | undefined;
  /** Takes only so much of each PATCH. */
  readonly takes?: number | undefined;
  readonly minChunk?: number | undefined;
  /** Says where to go on; default: a path with a query. */
  readonly location?: ((path: string) => string) | undefined;
  /** What other repositories have. */
  readonly mountable?: Readonly<Record<string, string>> | undefined;
  /** Answers before anything else. */
  readonly first?: ((request: Recorded, response: ServerResponse) => boolean) | undefined;
}

export interface UploadRegistry extends TestServer {
  readonly blobs: ReadonlyMap<string, Buffer>;
  /** `METHOD path range bytes`, for the requests that upload. */
  readonly log: readonly string[];
}

interface State {
  readonly blobs: Map<string, Buffer>;
  readonly uploads: Map<string, Buffer>;
  readonly log: string[];
  sent: number;
}

/** Reads all, and keeps the beginning; `drop` reads no further than that. */
const readUpTo = async (raw: AsyncIterable<Buffer>, most: number, drop: boolean): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of raw) {
    chunks.push(chunk.subarray(0, Math.max(0, most - size)));
    size += chunk.length;
    if (drop && size > most) break;
  }
  return Buffer.concat(chunks);
};

const placeOf = (state: State, id: string, { location, minChunk }: UploadBehaviour): Record<string, string> => {
  const path = `/v2/team/app/blobs/uploads/${id}?_state=a%2Fb%3D`;
  const size = state.uploads.get(id)?.length ?? 0;
  return {
    location: location?.(path) ?? path,
    range: `0-${String(Math.max(0, size - 1))}`,
    ...(minChunk === undefined ? {} : { 'oci-chunk-min-length': String(minChunk) }),
  };
};

const begin = (state: State, request: Recorded, { response, behaviour }: Context): void => {
  const [digest, from] = [request.query.get('mount'), request.query.get('from')];
  state.log.push(`POST ${from ?? ''}`.trim());
  if (digest !== null && from !== null && behaviour.mountable?.[from] === digest) {
    state.blobs.set(digest, Buffer.from('mounted'));
    response.writeHead(201).end();
    return;
  }
  const id = String(state.log.length);
  state.uploads.set(id, Buffer.alloc(0));
  response.writeHead(202, placeOf(state, id, behaviour)).end();
};

interface Context {
  readonly response: ServerResponse;
  readonly behaviour: UploadBehaviour;
  readonly raw: Parameters<Handler>[2];
}

const receive = async (state: State, request: Recorded, { response, behaviour, raw }: Context): Promise<void> => {
  const id = /uploads\/(\d+)$/.exec(request.path)?.[1] ?? '';
  const before = state.uploads.get(id);
  if (before === undefined || request.query.get('_state') !== 'a/b=') {
    sendError(response, 404, 'BLOB_UPLOAD_UNKNOWN');
    return;
  }
  if (request.method === 'DELETE') {
    state.log.push('DELETE');
    state.uploads.delete(id);
    response.writeHead(204).end();
    return;
  }
  if (request.method === 'GET') {
    state.log.push('GET');
    response.writeHead(204, placeOf(state, id, behaviour)).end();
    return;
  }
  state.sent += 1;
  const { socket } = raw;
  const dropAt = behaviour.drops?.[state.sent];
  const most = dropAt ?? (request.method === 'PATCH' ? behaviour.takes : undefined) ?? Infinity;
  const bytes = await readUpTo(raw, most, dropAt !== undefined);
  const range = request.headers['content-range'] ?? '-';
  state.log.push(`${request.method} ${range} ${String(bytes.length)}`);
  if (range !== '-' && Number(range.split('-')[0]) !== before.length) {
    response.writeHead(416, placeOf(state, id, behaviour)).end();
    return;
  }
  state.uploads.set(id, Buffer.concat([before, bytes]));
  if (dropAt !== undefined) {
    if (behaviour.forgets === true) state.uploads.delete(id);
    socket.destroy();
    return;
  }
  if (request.method === 'PATCH') response.writeHead(202, placeOf(state, id, behaviour)).end();
  else finish(state, request, { id, response });
};

const finish = (state: State, request: Recorded, { id, response }: { id: string; response: ServerResponse }): void => {
  const bytes = state.uploads.get(id) ?? Buffer.alloc(0);
  const digest = request.query.get('digest') ?? '';
  if (digest === sha256(bytes)) {
    state.blobs.set(digest, bytes);
    response.writeHead(201).end();
  } else sendError(response, 400, 'DIGEST_INVALID');
};

/** A registry that takes uploads as the specification says, with peculiarities. */
export const startUploadRegistry = async (behaviour: UploadBehaviour = {}): Promise<UploadRegistry> => {
  const state: State = { blobs: new Map(), uploads: new Map(), log: [], sent: 0 };
  const server = await startServer(
    async (request, response, raw) => {
      if (behaviour.first?.(request, response) === true) return;
      if (request.method === 'HEAD')
        response.writeHead(state.blobs.has(request.path.split('/').at(-1) ?? '') ? 200 : 404).end();
      else if (request.method === 'POST') begin(state, request, { response, behaviour, raw });
      else await receive(state, request, { response, behaviour, raw });
    },
    { early: true },
  );
  return { ...server, blobs: state.blobs, log: state.log };
};
