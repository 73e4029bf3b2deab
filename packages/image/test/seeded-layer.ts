import { createCipheriv } from 'node:crypto';

import { composeImage, OCI_LAYER, type Image } from '../src/index.ts';
import { encodeHeader, TRAILER } from '../src/tar/writer.ts';
import { hashContent, type Content } from './hostile-registry.ts';

const PIECE = 1024 ** 2;
const BLOCK = 512;

/** Noise that is known by its place: AES in counter mode can begin anywhere. */
function* noise(seed: number, offset: number, length: number): Generator<Buffer> {
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(Math.floor(offset / 16)), 8);
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), counter);
  cipher.update(Buffer.alloc(offset % 16));
  const zeros = Buffer.alloc(PIECE);
  for (let left = length; left > 0; left -= PIECE) yield cipher.update(zeros.subarray(0, Math.min(left, PIECE)));
}

/** A layer with one file `noise` of that size, made while it is sent: it takes no memory, and nothing compresses it. */
export const seededLayer = (fileBytes: number, seed: number = 1): Content => {
  if (fileBytes % BLOCK !== 0) throw new RangeError('want whole blocks');
  const header = encodeHeader({
    type: 'file',
    name: 'noise',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: fileBytes,
    mtimeNs: 0n,
  });
  const size = header.length + fileBytes + TRAILER.length;
  return hashContent({
    size,
    *read(offset, length) {
      const end = offset + length;
      if (offset < header.length) yield header.subarray(offset, Math.min(end, header.length));
      const [from, to] = [Math.max(offset - header.length, 0), Math.min(end - header.length, fileBytes)];
      if (from < to) yield* noise(seed, from, to - from);
      const tail = header.length + fileBytes;
      if (end > tail) yield TRAILER.subarray(Math.max(offset - tail, 0), end - tail);
    },
  });
};

/** An image of one plain layer, which only a registry has. */
export const imageOfContent = ({ digest, size }: Content): Image => {
  const open = (): never => {
    throw new Error('only the registry has it');
  };
  return composeImage({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest] } }, [
    { descriptor: { mediaType: OCI_LAYER, digest, size }, diffId: digest, open },
  ]);
};
