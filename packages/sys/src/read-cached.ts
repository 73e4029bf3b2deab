import { native } from './binding.ts';

/**
 * Reads a small file at once when the kernel has all of it in memory, and so never waits for a disk or for a thread. A larger
 * file is opened, and the descriptor is the caller's. Symbolic links at the end of the path aren't followed.
 *
 * @returns the bytes; a descriptor of a file larger than `maxBytes`; undefined when it would have to wait, when the kernel
 *   can't tell (before Linux 5.12), and for what isn't a regular file
 * @throws SysError what `openat2` says: `ENOENT` when the kernel knows that there is no such file
 * @see https://man7.org/linux/man-pages/man2/openat2.2.html for `RESOLVE_CACHED`,
 *   https://man7.org/linux/man-pages/man2/preadv2.2.html for `RWF_NOWAIT`
 */
export const readCached = (path: string, maxBytes: number): Buffer | number | undefined =>
  native().read_cached(path, maxBytes);
