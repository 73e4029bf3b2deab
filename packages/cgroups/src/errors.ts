/** Why a cgroup operation failed; stable and part of semver. The README has the table. */
export type CgroupErrorCode =
  | 'CGROUP_UNAVAILABLE'
  | 'CGROUP_CONTROLLER_OFF'
  | 'CGROUP_LIMIT_INVALID'
  | 'CGROUP_LIMIT_UNSUPPORTED'
  | 'CGROUP_PATH_INVALID'
  | 'CGROUP_EXISTS'
  | 'CGROUP_NOT_FOUND'
  | 'CGROUP_WRITE_REFUSED'
  | 'CGROUP_READ_REFUSED'
  | 'CGROUP_BUSY';

export interface CgroupErrorDetails {
  readonly path?: string | undefined;
  readonly errno?: string | undefined;
  readonly cause?: unknown;
}

/** What every function of this package throws, besides an aborted signal's own reason. */
export class CgroupError extends Error {
  override readonly name = 'CgroupError';
  readonly code: CgroupErrorCode;
  /** The file or directory in a cgroup file system that it is about. */
  readonly path: string | undefined;
  /** The kernel's own word: `'EBUSY'`. */
  readonly errno: string | undefined;
  constructor(code: CgroupErrorCode, message: string, details: CgroupErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.errno = details.errno;
  }
}

export const isCgroupError = (error: unknown): error is CgroupError =>
  Error.isError(error) && error.name === 'CgroupError';

/** The errno of a Node or sys error: `'ENOENT'`. */
export const errnoOf = (error: unknown): string | undefined =>
  Error.isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
