import { isRegistryError, RegistryError } from '../errors.ts';
import type { Algorithm, Digest } from '../names.ts';
import { formatReceived, parseChunkRange } from '../ranges.ts';
import type { Upload } from '../storage.ts';
import { sendEmpty } from './answer.ts';
import type { Headers } from './answer.ts';
import type { BlobTarget } from './blobs.ts';
import type { Exchange } from './context.ts';
import { contentLength, mayHaveBody, readBody } from './request-body.ts';

const uploadHeaders = ({ name, id }: Upload, receivedBytes: number): Headers => ({
  Location: `/v2/${name}/blobs/uploads/${id}`,
  Range: formatReceived(receivedBytes),
  'Docker-Upload-UUID': id,
});

const created = (exchange: Exchange, { name, digest }: BlobTarget): void =>
  sendEmpty(exchange, 201, { Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest });

export interface UploadStart {
  readonly name: string;
  readonly algorithm: Algorithm;
}

/** end-4a, end-4c */
export async function startUpload(exchange: Exchange, { name, algorithm }: UploadStart): Promise<void> {
  const id = await exchange.storage.startUpload(name, algorithm, { signal: exchange.signal });
  sendEmpty(exchange, 202, uploadHeaders({ name, id }, 0));
}

/** end-11 */
export async function mountBlob(
  exchange: Exchange,
  target: BlobTarget & { readonly from?: string | undefined },
): Promise<void> {
  const { storage, identity, signal } = exchange;
  const { name, digest, from } = target;
  const places = from === undefined ? undefined : [from];
  // Without `from` any repository may have it, also one that this client must not know of.
  const mayMount = from === undefined ? identity.mayPullAll : identity.mayPull(from);
  if (mayMount && (await storage.mountBlob(name, digest, { from: places, signal }))) {
    created(exchange, target);
    exchange.emit({ type: 'mount', object: 'blob', name, digest });
  } else await startUpload(exchange, { name, algorithm: algorithmOf(digest) });
}

const algorithmOf = (digest: Digest): Algorithm => (digest.startsWith('sha512:') ? 'sha512' : 'sha256');

/** end-4b */
export async function uploadWhole(exchange: Exchange, target: BlobTarget): Promise<void> {
  const { storage, signal } = exchange;
  const { name, digest } = target;
  const upload = { name, id: await storage.startUpload(name, algorithmOf(digest), { signal }) };
  try {
    await storage.appendUpload(
      upload,
      { offset: 0, body: readBody(exchange, exchange.limits.blobMaxBytes), sizeBytes: contentLength(exchange.request) },
      { signal },
    );
    const { sizeBytes } = await storage.finishUpload(upload, digest, { signal });
    exchange.emit({ type: 'push', object: 'blob', name, digest, sizeBytes });
  } catch (error) {
    // Nobody was told its id, so nobody can continue it.
    await storage.cancelUpload(upload).catch(() => undefined);
    throw error;
  }
  created(exchange, target);
}

/** Adds a request's body to an upload, where its `Content-Range` says. @returns what has arrived in all */
async function append(exchange: Exchange, upload: Upload): Promise<number> {
  const { request, storage, signal } = exchange;
  const header = request.headers['content-range'];
  const range = header === undefined ? undefined : parseChunkRange(header, contentLength(request));
  const roomBytes = await roomFor(exchange, upload);
  const chunk = { offset: range?.first, body: readBody(exchange, roomBytes), sizeBytes: contentLength(request) };
  const received = await storage.appendUpload(upload, chunk, { signal });
  if (range !== undefined && received !== range.last + 1) {
    throw new RegistryError('SIZE_INVALID', `Content-Range ends at ${String(range.last)}, its chunk before`, {
      headers: { Range: formatReceived(received) },
    });
  }
  return received;
}

/** What may still come; where there is no limit, nobody has to look at what has. */
async function roomFor({ storage, limits, signal }: Exchange, upload: Upload): Promise<number> {
  if (limits.blobMaxBytes === Infinity) return Infinity;
  return Math.max(0, limits.blobMaxBytes - (await storage.uploadedBytes(upload, { signal })));
}

/** A refusal of a chunk says where to go on. */
async function withLocation<T>({ name, id }: Upload, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isRegistryError(error) || error.status !== 416) throw error;
    const headers = { ...error.headers, Location: `/v2/${name}/blobs/uploads/${id}` };
    throw new RegistryError(error.code, error.message, { status: 416, detail: error.detail, headers, cause: error });
  }
}

/** end-5 */
export async function uploadChunk(exchange: Exchange, upload: Upload): Promise<void> {
  const received = await withLocation(upload, () => append(exchange, upload));
  sendEmpty(exchange, 202, uploadHeaders(upload, received));
}

/** end-6 */
export async function finishUpload(exchange: Exchange, upload: Upload, digest: Digest): Promise<void> {
  const { request, storage, signal } = exchange;
  await withLocation(upload, async () => {
    if (mayHaveBody(request) || request.headers['content-range'] !== undefined) await append(exchange, upload);
    const { sizeBytes } = await storage.finishUpload(upload, digest, { signal });
    exchange.emit({ type: 'push', object: 'blob', name: upload.name, digest, sizeBytes });
  });
  created(exchange, { name: upload.name, digest });
}

/** end-13 */
export async function uploadStatus(exchange: Exchange, upload: Upload): Promise<void> {
  const received = await exchange.storage.uploadedBytes(upload, { signal: exchange.signal });
  sendEmpty(exchange, 204, uploadHeaders(upload, received));
}

/** end-14 */
export async function cancelUpload(exchange: Exchange, upload: Upload): Promise<void> {
  await exchange.storage.cancelUpload(upload, { signal: exchange.signal });
  sendEmpty(exchange, 204);
}
