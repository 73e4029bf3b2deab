/** What a caller can do something about; part of semantic versioning. */
export type NamespaceErrorCode =
  | 'NAMESPACE_NOT_FOUND'
  | 'NAMESPACE_WRONG_TYPE'
  | 'NAMESPACE_PIN_EXISTS'
  | 'NAMESPACE_NOT_A_PIN'
  | 'NAMESPACE_NOT_PERMITTED'
  | 'NAMESPACE_COMMAND_NOT_FOUND'
  | 'NAMESPACE_COMMAND_NOT_EXECUTABLE'
  | 'NAMESPACE_REFUSED';

export interface NamespaceErrorDetails {
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

/** Everything that this package throws on purpose. Branch on `code`. */
export class NamespaceError extends Error {
  override readonly name = 'NamespaceError';
  readonly code: NamespaceErrorCode;
  /** The file that it is about. */
  readonly path: string | undefined;
  /** The kernel's own word, such as `'EPERM'`. */
  readonly errno: string | undefined;

  constructor(code: NamespaceErrorCode, message: string, { path, cause }: NamespaceErrorDetails = {}) {
    super(message, { cause });
    this.code = code;
    this.path = path;
    this.errno = errnoOf(cause);
  }
}

export const isNamespaceError = (error: unknown): error is NamespaceError =>
  Error.isError(error) && error.name === 'NamespaceError';

/** Wraps what a system call threw. */
export function refusal(what: string, path: string, cause: unknown): NamespaceError {
  const why = Error.isError(cause) ? cause.message : String(cause);
  return new NamespaceError(codeOfErrno(errnoOf(cause)), `${what}: ${path}: ${why}`, { path, cause });
}

export function codeOfErrno(errno: string | undefined): NamespaceErrorCode {
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ESRCH':
      return 'NAMESPACE_NOT_FOUND';
    case 'EPERM':
    case 'EACCES':
      return 'NAMESPACE_NOT_PERMITTED';
    case 'EEXIST':
      return 'NAMESPACE_PIN_EXISTS';
    default:
      return 'NAMESPACE_REFUSED';
  }
}

const errnoOf = (cause: unknown): string | undefined =>
  Error.isError(cause) && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
