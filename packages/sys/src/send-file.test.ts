import { randomBytes } from 'node:crypto';
import { closeSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';

import { describe, expect, it } from '@jest/globals';

import { owned } from '../test/temporary-directory.ts';
import { fcntl, F_DUPFD_CLOEXEC, memfd_create } from './file.ts';
import { sendFileInThread } from './send-file.ts';
import { AF_UNIX, shutdown, SHUT_RDWR, SOCK_NONBLOCK, SOCK_STREAM, socketpair } from './socket.ts';

const BYTES = 8 * 1024 * 1024;

function fileOf(bytes: Uint8Array): Disposable & { readonly fd: number } {
  const file = owned(memfd_create('sent', 0));
  writeFileSync(file.fd, bytes);
  return file;
}

const pair = (): [number, number] => socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

describe('sendFileInThread', () => {
  it('sends a range to a reader that is slower', async () => {
    const bytes = randomBytes(BYTES);
    using file = fileOf(bytes);
    const [left, right] = pair();
    using out = owned(left);
    const sent = sendFileInThread(out.fd, file.fd, { offset: 1000, count: BYTES - 3000 });
    const reader = new Socket({ fd: right });
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    for await (const chunk of reader) {
      chunks.push(chunk as Buffer);
      receivedBytes += (chunk as Buffer).byteLength;
      if (receivedBytes === BYTES - 3000) break;
    }
    await sent;
    expect(Buffer.concat(chunks).equals(bytes.subarray(1000, BYTES - 2000))).toBe(true);
  });

  it('serves one reader while many others take nothing', async () => {
    using file = fileOf(randomBytes(BYTES));
    const idle = Array.from({ length: 20 }, pair);
    const waiting = idle.map(([left]) => sendFileInThread(left, file.fd, { offset: 0, count: BYTES }));
    const [left, right] = pair();
    using out = owned(left);
    const reader = new Socket({ fd: right }).resume();
    await sendFileInThread(out.fd, file.fd, { offset: 0, count: BYTES });
    reader.destroy();
    for (const [fd] of idle) shutdown(fd, SHUT_RDWR);
    const ends = await Promise.allSettled(waiting);
    expect(ends.map((end) => end.status === 'rejected' && (end.reason as { code: string }).code)).toEqual(
      idle.map(() => 'EPIPE'),
    );
    for (const fd of idle.flat()) closeSync(fd);
  });

  it('goes on when Node closes its descriptor of the same socket', async () => {
    const bytes = randomBytes(BYTES);
    using file = fileOf(bytes);
    const [left, right] = pair();
    using out = owned(fcntl(left, F_DUPFD_CLOEXEC, 0));
    const sent = sendFileInThread(out.fd, file.fd, { offset: 0, count: BYTES });
    closeSync(left);
    const reader = new Socket({ fd: right }).resume();
    await sent;
    reader.destroy();
  });

  it('says what is wrong', async () => {
    using file = fileOf(Buffer.from('short'));
    const [left, right] = pair();
    using out = owned(left);
    using other = owned(right);
    await expect(sendFileInThread(out.fd, file.fd, { offset: 0, count: 6 })).rejects.toMatchObject({
      code: 'ENODATA',
      syscall: 'sendfile',
    });
    // A regular file can't be waited for.
    await expect(sendFileInThread(file.fd, other.fd, { offset: 0, count: 1 })).rejects.toMatchObject({ code: 'EPERM' });
    await expect(sendFileInThread(out.fd, file.fd, { offset: 0, count: 0 })).rejects.toMatchObject({
      name: 'TypeError',
    });
  });
});
