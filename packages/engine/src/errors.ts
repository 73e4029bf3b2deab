export type EngineErrorCode =
  | 'ENGINE_NOT_ROOT'
  | 'ENGINE_NO_SUCH_CONTAINER'
  /** An id prefix that several containers share. */
  | 'ENGINE_AMBIGUOUS_CONTAINER'
  | 'ENGINE_NAME_IN_USE'
  | 'ENGINE_INVALID_SPEC'
  | 'ENGINE_CONTAINER_RUNNING'
  | 'ENGINE_CONTAINER_NOT_RUNNING'
  | 'ENGINE_IMAGE_IN_USE'
  | 'ENGINE_PORT_IN_USE'
  | 'ENGINE_NO_ADDRESS_LEFT'
  | 'ENGINE_NO_SUCH_PATH'
  /** The container was made and its command isn't there: Docker's exit code 127. */
  | 'ENGINE_COMMAND_NOT_FOUND'
  /** The command is there and can't be run: 126. */
  | 'ENGINE_COMMAND_NOT_EXECUTABLE'
  /** The kernel or the disk refused something on the way. */
  | 'ENGINE_START_FAILED'
  | 'ENGINE_LOCKED';

export interface EngineErrorDetails {
  readonly path?: string | undefined;
  /** The id of the container that the error is about, if it was made. */
  readonly containerId?: string | undefined;
  readonly cause?: unknown;
}

/** What this package throws. The message is one that a user can be shown as it is. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  readonly path: string | undefined;
  readonly containerId: string | undefined;

  constructor(code: EngineErrorCode, message: string, details: EngineErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.containerId = details.containerId;
  }
}

export const isEngineError = (error: unknown): error is EngineError =>
  Error.isError(error) && error.name === 'EngineError';

/**
 * What the kernel or the disk refused, as an error of ours: `cannot create container: …`. Errors of ours, those of a
 * wrong request and an abort stay what they are.
 */
export function refused(what: string, cause: unknown, containerId?: string): unknown {
  if (!Error.isError(cause) || !('syscall' in cause)) return cause;
  return new EngineError('ENGINE_START_FAILED', `${what}: ${cause.message}`, { cause, containerId });
}
