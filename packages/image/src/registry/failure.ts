import type { Readable } from 'node:stream';

import { asString, member, parseDocument, type Node } from '../document.ts';
import { ImageError, isImageError, quote, type ImageErrorCode } from '../errors.ts';
import { readBody } from './body.ts';
import { connectionCode } from './retry.ts';

/** What a server said. */
export interface Answer {
  readonly status: number;
  /** Names in lower case; several of one name are a list. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Whoever gets the answer reads this to the end or destroys it. */
  readonly body: Readable;
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** What must not stand in a message, should the server repeat it. */
  readonly secrets: readonly string[];
}

export const header = (answer: Answer, name: string): string | undefined => {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : value?.[0];
};

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name could not be looked up for now',
  ECONNRESET: 'connection dropped',
  EPIPE: 'connection dropped',
  UND_ERR_SOCKET: 'connection dropped',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'connection dropped',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'it stopped sending or taking data',
  UND_ERR_HEADERS_OVERFLOW: 'its answer has too many headers',
  UND_ERR_PRX_TLS: 'the TLS certificate of the proxy is not for its name',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS: if it is meant to speak plain HTTP, configure plainHttp for it',
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    'it does not speak TLS: if it is meant to speak plain HTTP, configure plainHttp for it',
};

const isCertificateCode = (code: string): boolean =>
  /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|ALTNAME/.test(code) && !code.startsWith('ERR_SSL');

const explain = (error: unknown): string => {
  const code = connectionCode(error);
  const text = (error as { readonly message?: unknown }).message;
  const proxyStatus = typeof text === 'string' ? /^Proxy response \((\d+)\)/.exec(text)?.[1] : undefined;
  if (proxyStatus !== undefined) return `the proxy answered ${proxyStatus}`;
  if (typeof text === 'string' && text.startsWith('Proxy Authentication Required')) return 'the proxy answered 407';
  if (typeof code !== 'string') return 'the connection failed';
  if (isCertificateCode(code)) return `its TLS certificate is not trusted (${code}): configure ca for it`;
  return WORDS[code] ?? `the connection failed (${code})`;
};

/** A connection that was not made or was lost, as an error of ours. */
export const connectionFailure = (host: string, error: unknown): ImageError =>
  new ImageError('REGISTRY_UNREACHABLE', `cannot reach ${host}: ${explain(error)}`, { path: host, cause: error });

interface Said {
  readonly code: string | undefined;
  readonly message: string | undefined;
}

const text = (node: Node | undefined): string | undefined => {
  try {
    const found = node === undefined ? undefined : asString(node);
    return found === '' ? undefined : found;
  } catch (error) {
    if (isImageError(error)) return undefined;
    throw error;
  }
};

/** `{ errors: [{ code, message }] }` of registries, `{ error, error_description }` of OAuth2, `{ details }` of Docker Hub. */
const readSaid = (bytes: Buffer): Said => {
  const node = parseDocument(bytes, 'answer');
  const list = member(node, 'errors');
  const first: unknown = Array.isArray(list?.value) ? list.value[0] : undefined;
  if (typeof first === 'object' && first !== null) {
    const error = { value: first, where: 'answer' };
    return { code: text(member(error, 'code')), message: text(member(error, 'message')) };
  }
  const message =
    text(member(node, 'error_description')) ?? text(member(node, 'details')) ?? text(member(node, 'message'));
  return { code: text(member(node, 'error')), message };
};

const SAID_MAX_BYTES = 64 * 1024;
const SAID_MAX_MS = 10_000;

/** The words of an answer that is no success: whatever they are, they don't make it worse. */
const hearOut = async (answer: Answer, signal: AbortSignal | undefined): Promise<Said> => {
  const inTime = AbortSignal.timeout(SAID_MAX_MS);
  try {
    const limits = signal === undefined ? inTime : AbortSignal.any([signal, inTime]);
    return readSaid(await readBody(answer.body, { maxBytes: SAID_MAX_BYTES, signal: limits }));
  } catch {
    signal?.throwIfAborted();
    return { code: undefined, message: undefined };
  }
};

const BY_CODE: Readonly<Record<string, ImageErrorCode>> = {
  UNAUTHORIZED: 'REGISTRY_UNAUTHORIZED',
  DENIED: 'REGISTRY_UNAUTHORIZED',
  MANIFEST_UNKNOWN: 'REGISTRY_NOT_FOUND',
  NAME_UNKNOWN: 'REGISTRY_NOT_FOUND',
  BLOB_UNKNOWN: 'REGISTRY_NOT_FOUND',
  TOOMANYREQUESTS: 'REGISTRY_THROTTLED',
};

/** MANIFEST_BLOB_UNKNOWN and other codes come with the status that says it. */
const codeOf = (status: number, said: string | undefined): ImageErrorCode => {
  const known = said !== undefined && Object.hasOwn(BY_CODE, said) ? BY_CODE[said] : undefined;
  if (known !== undefined && status >= 400 && status < 500) return known;
  if (status === 401 || status === 403) return 'REGISTRY_UNAUTHORIZED';
  if (status === 404) return 'REGISTRY_NOT_FOUND';
  if (status === 429) return 'REGISTRY_THROTTLED';
  return status >= 400 && status < 500 ? 'REGISTRY_REFUSED' : 'REGISTRY_FAILED';
};

const adviceFor = (code: ImageErrorCode, answer: Answer): string => {
  // Registries don't tell strangers what there is.
  if (code === 'REGISTRY_UNAUTHORIZED') return ': log in with an account that may do this, if it is there at all';
  const after = header(answer, 'retry-after');
  return code === 'REGISTRY_THROTTLED' && after !== undefined ? `: it asks to try again after ${quote(after)}` : '';
};

const redact = (words: string, secrets: readonly string[]): string =>
  secrets.filter((secret) => secret.length > 3).reduce((shown, secret) => shown.replaceAll(secret, '…'), words);

/**
 * What became of a request that the server did not fulfil.
 *
 * @param what - `cannot read manifest docker.io/library/debian:12`
 */
export const answerFailure = async (what: string, answer: Answer, signal?: AbortSignal): Promise<ImageError> => {
  const said = await hearOut(answer, signal);
  const code = codeOf(answer.status, said.code);
  const words = [said.code, said.message]
    .filter((word) => word !== undefined)
    .map((word) => quote(redact(word, answer.secrets)))
    .join(' ');
  const host = answer.url.host;
  const status = `${host} answered ${String(answer.status)}${words === '' ? '' : ` ${words}`}`;
  return new ImageError(code, `${what}: ${status}${adviceFor(code, answer)}`, { path: host });
};
