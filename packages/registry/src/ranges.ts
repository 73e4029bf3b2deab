import { RegistryError } from './errors.ts';

/** Bytes of a content, both ends included, as HTTP counts them. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A decimal number that JavaScript holds exactly; undefined for anything else. */
function parseCount(text: string): number | undefined {
  if (text === '' || text.length > 16) return undefined;
  for (const char of text) if (char < '0' || char > '9') return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

const unsatisfiable = (sizeBytes: number): RegistryError =>
  new RegistryError('SIZE_INVALID', `no byte of the content, ${String(sizeBytes)} bytes, is in the range`, {
    status: 416,
    headers: { 'Content-Range': `bytes */${String(sizeBytes)}` },
  });

/**
 * Reads a `Range` header of GET. Undefined means "send all of it": no header, another unit, several ranges, or one that is
 * malformed, which RFC 9110 lets a server ignore. One that ends before it begins may be ignored or refused; nobody who sends it
 * wants all, so it is refused.
 *
 * @throws {@link RegistryError} status 416: no byte of it is there
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-range
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const prefix = 'bytes=';
  const text = (header ?? '').trim();
  if (!text.toLowerCase().startsWith(prefix)) return undefined;
  const spec = text.slice(prefix.length).trim();
  const dash = spec.indexOf('-');
  if (dash < 0 || spec.includes(',')) return undefined;
  const first = parseCount(spec.slice(0, dash).trim());
  const last = parseCount(spec.slice(dash + 1).trim());
  if (dash === 0) return suffixRange(last, sizeBytes);
  const open = spec.slice(dash + 1).trim() === '';
  if (first === undefined || (!open && last === undefined)) return undefined;
  if (first >= sizeBytes || (last !== undefined && last < first)) throw unsatisfiable(sizeBytes);
  return { first, last: Math.min(last ?? sizeBytes - 1, sizeBytes - 1) };
}

function suffixRange(lengthBytes: number | undefined, sizeBytes: number): ByteRange | undefined {
  if (lengthBytes === undefined) return undefined;
  if (lengthBytes === 0 || sizeBytes === 0) throw unsatisfiable(sizeBytes);
  return { first: Math.max(0, sizeBytes - lengthBytes), last: sizeBytes - 1 };
}

/**
 * Reads the `Content-Range` of an upload's chunk: `0-1023`, as the distribution specification writes it, without a unit.
 *
 * @throws {@link RegistryError} `BLOB_UPLOAD_INVALID`: malformed, or not `lengthBytes` long where the length is known
 */
export function parseChunkRange(header: string, lengthBytes?: number): ByteRange {
  const dash = header.indexOf('-');
  const first = parseCount(header.slice(0, Math.max(dash, 0)).trim());
  const last = parseCount(header.slice(dash + 1).trim());
  if (dash < 0 || first === undefined || last === undefined || last < first) {
    throw new RegistryError('BLOB_UPLOAD_INVALID', 'Content-Range of a chunk is first-last, in bytes');
  }
  if (lengthBytes !== undefined && last - first + 1 !== lengthBytes) {
    const what = `Content-Range says ${String(last - first + 1)} bytes, Content-Length ${String(lengthBytes)}`;
    throw new RegistryError('SIZE_INVALID', what);
  }
  return { first, last };
}

/**
 * Checks that a chunk continues an upload.
 *
 * @throws {@link RegistryError} status 416, with the `Range` that has arrived: out of order, or sent twice
 */
export function checkChunkFollows(chunk: ByteRange, receivedBytes: number): void {
  if (chunk.first === receivedBytes) return;
  const what = `the upload continues at byte ${String(receivedBytes)}, not ${String(chunk.first)}`;
  throw new RegistryError('BLOB_UPLOAD_INVALID', what, {
    status: 416,
    headers: { Range: formatReceived(receivedBytes) },
  });
}

/** The `Range` header of an upload's status; an empty upload is `0-0` too, as the specification has no other word. */
export const formatReceived = (receivedBytes: number): string => `0-${String(Math.max(0, receivedBytes - 1))}`;
