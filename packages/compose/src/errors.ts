/** One code per thing that a caller could do differently. */
export type ComposeErrorCode =
  | 'COMPOSE_YAML'
  | 'COMPOSE_LIMIT'
  | 'COMPOSE_SCHEMA'
  | 'COMPOSE_UNSUPPORTED'
  | 'COMPOSE_INTERPOLATION'
  | 'COMPOSE_ENV_FILE'
  | 'COMPOSE_REFERENCE'
  | 'COMPOSE_CYCLE';

export interface ComposeErrorDetails {
  readonly file?: string | undefined;
  /** 1-based. */
  readonly line?: number | undefined;
  readonly cause?: unknown;
}

/** What every function of this package throws; the message starts with `file:line:` where there is one. */
export class ComposeError extends Error {
  override readonly name = 'ComposeError';
  readonly code: ComposeErrorCode;
  readonly file: string | undefined;
  readonly line: number | undefined;
  constructor(code: ComposeErrorCode, message: string, details: ComposeErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.file = details.file;
    this.line = details.line;
  }
}

export const isComposeError = (error: unknown): error is ComposeError =>
  Error.isError(error) && error.name === 'ComposeError';
