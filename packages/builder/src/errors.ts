/** One code per thing that a caller could do differently. */
export type BuilderErrorCode =
  | 'BUILDER_SYNTAX'
  | 'BUILDER_UNKNOWN_INSTRUCTION'
  | 'BUILDER_CHECK'
  | 'BUILDER_EXPANSION'
  | 'BUILDER_LIMIT'
  | 'BUILDER_STAGE_NOT_FOUND'
  | 'BUILDER_STAGE_CYCLE'
  | 'BUILDER_BAD_PLATFORM'
  | 'BUILDER_IGNORE_PATTERN'
  | 'BUILDER_NO_SUCH_IMAGE'
  | 'BUILDER_PULL_FAILED'
  | 'BUILDER_UNSUPPORTED'
  | 'BUILDER_CONTEXT'
  | 'BUILDER_SOURCE_NOT_FOUND'
  | 'BUILDER_DESTINATION'
  | 'BUILDER_RUN_FAILED';

export interface BuilderErrorDetails {
  /** The Dockerfile (or ignore file) as the caller called it. */
  readonly file?: string | undefined;
  /** 1-based. */
  readonly line?: number | undefined;
  readonly cause?: unknown;
}

/**
 * What every function of this package throws. The message starts with `file:line:` where there is one, and goes on with an
 * excerpt of that line.
 */
export class BuilderError extends Error {
  override readonly name = 'BuilderError';
  readonly code: BuilderErrorCode;
  readonly file: string | undefined;
  readonly line: number | undefined;
  constructor(code: BuilderErrorCode, message: string, details: BuilderErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.file = details.file;
    this.line = details.line;
  }
}

export const isBuilderError = (error: unknown): error is BuilderError =>
  Error.isError(error) && error.name === 'BuilderError';
