import { errorCodes } from '../src/testing/case.ts';

/** One answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const STATUSES: ReadonlySet<number> = new Set([
  ...[100, 200, 201, 202, 204, 206, 304],
  ...[400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 416, 417, 429, 431],
  // Of a method or a version that the parser doesn't know.
  ...[501, 505],
]);

interface Cut {
  readonly head: string;
  readonly rest: Buffer;
}

function cutHead(bytes: Buffer): Cut {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) throw new Error('an answer has no end of its head');
  return { head: bytes.subarray(0, end).toString('latin1'), rest: bytes.subarray(end + 4) };
}

/** Reads one answer, and what follows it. @throws Error: it isn't well-formed */
function readAnswer(bytes: Buffer, method: string | undefined): readonly [WireAnswer, Buffer] {
  const { head, rest } = cutHead(bytes);
  const [first = '', ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) [A-Za-z' -]+$/.exec(first)?.[1]);
  if (!STATUSES.has(status)) throw new Error(`the status line ${JSON.stringify(first)}`);
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const [, key, value] = /^([A-Za-z-]+): ([\x20-\x7e]*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`the header ${JSON.stringify(line)}`);
    if (key.toLowerCase() in headers) throw new Error(`two headers ${key}`);
    headers[key.toLowerCase()] = value;
  }
  const length = headers['content-length'];
  const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304;
  // HTTP's parser answers so, by itself.
  const none = Buffer.from('0\r\n\r\n');
  if (headers['transfer-encoding'] === 'chunked' && (status === 400 || status === 417)) {
    const isThere = none.equals(rest.subarray(0, none.byteLength));
    if (!isThere && method !== undefined && method !== 'HEAD') throw new Error('a chunked body without an end');
    return [{ status, headers, body: none.subarray(0, 0) }, rest.subarray(isThere ? none.byteLength : 0)];
  }
  const mayBeHead = method === undefined && status === 417;
  if (!bodiless && !mayBeHead && length === undefined && headers['connection'] !== 'close')
    throw new Error('no Content-Length');
  if (length !== undefined && !/^\d+$/.test(length)) throw new Error(`the length ${length}`);
  const wanted = bodiless ? 0 : Number(length ?? 0);
  // Of a HEAD among others, nobody knows that it was one.
  const unknownHead = method === undefined && rest.subarray(0, 5).toString() === 'HTTP/';
  const size = unknownHead || (method === undefined && rest.byteLength === 0) ? 0 : wanted;
  if (rest.byteLength < size) throw new Error(`${String(rest.byteLength)} bytes of ${String(size)}`);
  return [{ status, headers, body: rest.subarray(0, size) }, rest.subarray(size)];
}

/** Of all errors that our code answers with. What HTTP's parser refuses never comes to it. */
function checkError({ status, headers, body }: WireAnswer): void {
  if (status < 400 || headers['docker-distribution-api-version'] === undefined || body.byteLength === 0) return;
  errorCodes({ status, headers, body });
}

/**
 * Reads all that a connection brought.
 *
 * @param method - of the request, where there was only one
 * @throws Error: something in it isn't as it should be
 */
export function readAnswers(bytes: Buffer, method: string | undefined): readonly WireAnswer[] {
  const answers: WireAnswer[] = [];
  for (let rest = bytes; rest.byteLength > 0;) {
    const [answer, more] = readAnswer(rest, method);
    checkError(answer);
    if (answer.status >= 200) answers.push(answer);
    rest = more;
  }
  return answers;
}
