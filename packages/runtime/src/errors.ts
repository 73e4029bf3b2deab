/** What went wrong, as something a caller can branch on. Part of the package's stable interface. */
export type RuntimeErrorCode =
  /** A capability that Linux doesn't have. */
  | 'RUNTIME_INVALID_CAPABILITY'
  /** A seccomp profile that can't be read, or that asks for what can't be done. */
  | 'RUNTIME_INVALID_SECCOMP'
  /** A user or group string that names nobody it could mean: out of range, or not a number where one is needed. */
  | 'RUNTIME_INVALID_USER'
  /** A user or group name that the container's passwd or group file doesn't have. */
  | 'RUNTIME_UNKNOWN_USER'
  /** A passwd or group file beyond the size that we are willing to read. */
  | 'RUNTIME_USER_FILE_TOO_LARGE'
  /** A `config.json` that isn't one. */
  | 'RUNTIME_INVALID_SPEC'
  | 'RUNTIME_INVALID_SIGNAL'
  /** The command is not in the container: Docker's exit code 127. */
  | 'RUNTIME_COMMAND_NOT_FOUND'
  /** The command is there and can't be run: Docker's exit code 126. */
  | 'RUNTIME_COMMAND_NOT_EXECUTABLE'
  /** A step of the start was refused by the kernel; the message names it. */
  | 'RUNTIME_START_FAILED'
  /** The process that keeps a container, or its socket, is not there. */
  | 'RUNTIME_NO_MONITOR';

export interface RuntimeErrorDetails {
  readonly path?: string | undefined;
  /** The kernel's own word, `'EBUSY'`. */
  readonly errno?: string | undefined;
  readonly cause?: unknown;
}

/** What every function of this package throws when the input, or the kernel, doesn't allow what was asked. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;
  readonly path: string | undefined;
  readonly errno: string | undefined;

  constructor(code: RuntimeErrorCode, message: string, details: RuntimeErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.errno = details.errno;
  }
}

export const isRuntimeError = (error: unknown): error is RuntimeError =>
  Error.isError(error) && error.name === 'RuntimeError';
