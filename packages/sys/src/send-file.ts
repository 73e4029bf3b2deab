import { native } from './binding.ts';

export interface SendFileOptions {
  readonly offset: number;
  /** At least one. */
  readonly count: number;
  /** Is told now and then, while they become more, how many bytes the socket has taken. */
  readonly onProgress?: ((sentBytes: number) => void) | undefined;
}

/**
 * Sends bytes of a file to a socket with `sendfile`, in one of a few threads that serve all of them in turn: the bytes never
 * come to JavaScript, and a reader that is slow keeps neither the event loop nor libuv's pool waiting.
 *
 * Leave both descriptors open until it has settled. The socket must be non-blocking, and its descriptor one that nobody else
 * closes: a `F_DUPFD_CLOEXEC` of one that Node has. To give up, `shutdown` it.
 *
 * @throws SysError, also as a rejection: `EPIPE` and `ECONNRESET` when the reader went away, `ENODATA` when the file ends before
 * @see https://man7.org/linux/man-pages/man2/sendfile.2.html
 */
export const sendFileInThread = (outFd: number, inFd: number, options: SendFileOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    native().send_file(outFd, inFd, options.offset, options.count, (sent, done, error) => {
      if (error !== undefined) reject(error);
      else if (done) resolve();
      else options.onProgress?.(sent);
    });
  });
