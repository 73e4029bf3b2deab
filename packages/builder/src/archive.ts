import { closeSync, constants, openSync, readSync } from 'node:fs';

const HEAD_BYTES = 512;

const MAGICS: readonly (readonly [offset: number, bytes: string])[] = [
  [0, '\x1f\x8b'],
  [0, 'BZh'],
  [0, '\xfd7zXZ\0'],
  [0, '\x28\xb5\x2f\xfd'],
  [257, 'ustar'],
];

/** Whether a local file is what ADD unpacks: a tar archive, plain or compressed. Told by its first bytes, as Docker does. */
export function isArchive(path: string): boolean {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const bytes = readSync(fd, head, 0, HEAD_BYTES, 0);
    const text = head.toString('latin1', 0, bytes);
    return MAGICS.some(([offset, magic]) => text.startsWith(magic, offset));
  } finally {
    closeSync(fd);
  }
}
