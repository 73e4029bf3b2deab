/** The error codes of the distribution specification. */
export type RegistryErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS';

/** The HTTP status that a code has unless an endpoint says otherwise. */
const STATUS: Readonly<Record<RegistryErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
};

export interface RegistryErrorDetails {
  /** HTTP status, where it is not the code's usual one: 404 for a path that is no endpoint, 413, 416. */
  readonly status?: number | undefined;
  /** Shown to the client as it is; never a secret. */
  readonly detail?: unknown;
  /** Response headers that belong to the refusal: `Allow`, `Range`, `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly cause?: unknown;
}

/** A refusal as a client sees it: a status, a code of the specification, a sentence. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: RegistryErrorCode;
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;
  constructor(code: RegistryErrorCode, message: string, details: RegistryErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = details.status ?? STATUS[code];
    this.detail = details.detail;
    this.headers = details.headers ?? {};
  }
}

export const isRegistryError = (error: unknown): error is RegistryError =>
  Error.isError(error) && error.name === 'RegistryError';

/** The JSON body of an error response. */
export interface ErrorBody {
  readonly errors: readonly { readonly code: RegistryErrorCode; readonly message: string; readonly detail?: unknown }[];
}

/**
 * What to send for errors that belong to one response.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
export const errorBody = (...errors: readonly RegistryError[]): ErrorBody => ({
  errors: errors.map(({ code, message, detail }) => ({ code, message, ...(detail === undefined ? {} : { detail }) })),
});

/**
 * What is wrong with how a registry is set up: `CONFIG_INVALID` an option's value, `CONFIG_FILE_UNREADABLE` a file that can't
 * be read or written, `CONFIG_FILE_INVALID` what is in it, `CONFIG_UNSAFE` something that would be open to everybody.
 */
export type RegistryConfigErrorCode =
  'CONFIG_INVALID' | 'CONFIG_FILE_UNREADABLE' | 'CONFIG_FILE_INVALID' | 'CONFIG_UNSAFE';

export interface RegistryConfigErrorDetails {
  /** The option, as it is written: `access.rules[2].actions`. */
  readonly option?: string | undefined;
  /** The file. */
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

/** Told to the operator, never to a client. */
export class RegistryConfigError extends Error {
  override readonly name = 'RegistryConfigError';
  readonly code: RegistryConfigErrorCode;
  readonly option: string | undefined;
  readonly path: string | undefined;
  constructor(code: RegistryConfigErrorCode, message: string, details: RegistryConfigErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.option = details.option;
    this.path = details.path;
  }
}

export const isRegistryConfigError = (error: unknown): error is RegistryConfigError =>
  Error.isError(error) && error.name === 'RegistryConfigError';
