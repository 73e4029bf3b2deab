/** What a caller can do something about; part of semantic versioning. */
export type OverlayErrorCode =
  | 'OVERLAY_LAYER_MISSING'
  | 'OVERLAY_DIR_MISSING'
  | 'OVERLAY_DIR_EXISTS'
  | 'OVERLAY_TOO_MANY_LAYERS'
  | 'OVERLAY_VOLATILE_UNCLEAN'
  | 'OVERLAY_UNSUPPORTED'
  | 'OVERLAY_NOT_PERMITTED'
  | 'OVERLAY_BUSY'
  | 'OVERLAY_REFUSED';

export interface OverlayErrorDetails {
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

/** Everything that this package throws on purpose. Branch on `code`. */
export class OverlayError extends Error {
  override readonly name = 'OverlayError';
  readonly code: OverlayErrorCode;
  /** The directory that it is about. */
  readonly path: string | undefined;
  /** The kernel's own word, such as `'ENOENT'`. */
  readonly errno: string | undefined;

  constructor(code: OverlayErrorCode, message: string, { path, cause }: OverlayErrorDetails = {}) {
    super(message, { cause });
    this.code = code;
    this.path = path;
    this.errno = errnoOf(cause);
  }
}

export const isOverlayError = (error: unknown): error is OverlayError =>
  Error.isError(error) && error.name === 'OverlayError';

/** Wraps what a system call threw; the kernel's explanation stays in the message. */
export function refusal(what: string, path: string | undefined, cause: unknown): OverlayError {
  const why = Error.isError(cause) ? cause.message : String(cause);
  const message = [what, path, why].filter((part) => part !== undefined).join(': ');
  return new OverlayError(codeOf(errnoOf(cause)), message, { path, cause });
}

function codeOf(errno: string | undefined): OverlayErrorCode {
  switch (errno) {
    case 'EPERM':
    case 'EACCES':
      return 'OVERLAY_NOT_PERMITTED';
    case 'ENODEV':
    case 'ENOSYS':
      return 'OVERLAY_UNSUPPORTED';
    case 'ENOENT':
    case 'ENOTDIR':
      return 'OVERLAY_DIR_MISSING';
    case 'EEXIST':
      return 'OVERLAY_DIR_EXISTS';
    case 'EBUSY':
      return 'OVERLAY_BUSY';
    default:
      return 'OVERLAY_REFUSED';
  }
}

const errnoOf = (cause: unknown): string | undefined =>
  Error.isError(cause) && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
