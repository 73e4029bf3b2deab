import { constants } from 'node:os';

/** One code per thing a caller could do differently. */
export type NetlinkErrorCode =
  | 'NETLINK_INVALID'
  | 'NETLINK_EXISTS'
  | 'NETLINK_NOT_FOUND'
  | 'NETLINK_BUSY'
  | 'NETLINK_PERMISSION'
  | 'NETLINK_UNSUPPORTED'
  | 'NETLINK_REFUSED'
  | 'NETLINK_OVERRUN'
  | 'NETLINK_PORT_TAKEN';

export interface NetlinkErrorDetails {
  readonly errno?: string | undefined;
  readonly request?: string | undefined;
  readonly index?: number | undefined;
  readonly kernelText?: string | undefined;
  readonly cause?: unknown;
}

/** Everything this package throws, bugs excepted. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** What to branch on. */
  readonly code: NetlinkErrorCode;
  /** The kernel's word: `'EEXIST'`; undefined when the request never left. */
  readonly errno: string | undefined;
  /** The request that failed, described: `'add bridge tsc0'`. */
  readonly request: string | undefined;
  /** Its place in the batch, from 0. */
  readonly index: number | undefined;
  /** The kernel's explanation (extended acknowledgement), where it gave one. */
  readonly kernelText: string | undefined;
  constructor(code: NetlinkErrorCode, message: string, details: NetlinkErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.errno = details.errno;
    this.request = details.request;
    this.index = details.index;
    this.kernelText = details.kernelText;
  }
}

export const isNetlinkError = (error: unknown): error is NetlinkError =>
  Error.isError(error) && error.name === 'NetlinkError';

const errnoNames: ReadonlyMap<number, string> = new Map(
  // EAGAIN and EWOULDBLOCK are one number, and so are ENOTSUP and EOPNOTSUPP: the first and the second are meant.
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK' && name !== 'ENOTSUP')
    .map(([name, number]) => [number, name]),
);

export const errnoName = (errno: number): string => errnoNames.get(errno) ?? `errno ${String(errno)}`;

const codes: Readonly<Record<string, NetlinkErrorCode>> = {
  EEXIST: 'NETLINK_EXISTS',
  ENOENT: 'NETLINK_NOT_FOUND',
  ENODEV: 'NETLINK_NOT_FOUND',
  ESRCH: 'NETLINK_NOT_FOUND',
  EADDRNOTAVAIL: 'NETLINK_NOT_FOUND',
  EBUSY: 'NETLINK_BUSY',
  EPERM: 'NETLINK_PERMISSION',
  EACCES: 'NETLINK_PERMISSION',
  EOPNOTSUPP: 'NETLINK_UNSUPPORTED',
  EAFNOSUPPORT: 'NETLINK_UNSUPPORTED',
  EPROTONOSUPPORT: 'NETLINK_UNSUPPORTED',
};

/** The error for a request that the kernel refused. */
export const refusal = (
  request: string,
  failed: { errno: number; text: string | undefined },
  index: number | undefined,
): NetlinkError => {
  const errno = errnoName(failed.errno);
  const explanation = failed.text === undefined ? '' : ` (${failed.text})`;
  return new NetlinkError(codes[errno] ?? 'NETLINK_REFUSED', `cannot ${request}: ${errno}${explanation}`, {
    errno,
    request,
    index,
    kernelText: failed.text,
  });
};

/** The error for an argument that is wrong before anything is sent. */
export const invalid = (message: string): NetlinkError => new NetlinkError('NETLINK_INVALID', message);
