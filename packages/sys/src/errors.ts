/**
 * What every function of this package throws when the kernel says no. The addon makes it, so the fields are always there.
 *
 * `code` is the kernel's own word (`'EEXIST'`), as on Node's system errors, and is what callers branch on.
 */
export interface SysError extends Error {
  readonly name: 'SysError';
  /** The errno's name: `'ENOENT'`. */
  readonly code: string;
  /** The errno's number, positive as in `<errno.h>`. */
  readonly errno: number;
  /** The man page's name of the call: `'move_mount'`. */
  readonly syscall: string;
  /** The path or object that the call was about, when it had one. */
  readonly path: string | undefined;
}

export const isSysError = (error: unknown): error is SysError => Error.isError(error) && error.name === 'SysError';

/** True for a {@link SysError} or a Node system error with one of these codes. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  Error.isError(error) && 'code' in error && codes.includes(error.code as string);
