import { availableParallelism } from 'node:os';
import { constants, crc32, deflateRaw } from 'node:zlib';

/** Input of one block. It decides the bytes that come out, so it must not depend on the machine. */
const BLOCK_BYTES = 512 * 1024;
/** As much as comes of a block mostly, in one piece. */
const OUTPUT_BYTES = 256 * 1024;
/** How far back deflate looks, into the block before too. */
const WINDOW_BYTES = 32 * 1024;
/** So that others get one of libuv's four threads. */
const JOBS_MAX = 3;
/** An empty block that says it is the last. */
const LAST_BLOCK = Buffer.from([0x03, 0x00]);

export interface GzipOptions {
  /** 1 to 9; default 6. */
  readonly level?: number | undefined;
}

/**
 * Compresses with all cores: the input is cut into blocks, each compressed by itself with the end of the one before as
 * its dictionary. The same bytes give the same bytes, whatever pieces they come in and on however many cores, while
 * Node's zlib stays the same.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1952
 */
export async function* gzip(
  source: AsyncIterable<Uint8Array>,
  { level = 6 }: GzipOptions = {},
): AsyncGenerator<Buffer, void, void> {
  const jobs: Promise<Buffer>[] = [];
  const jobsMax = Math.min(availableParallelism(), JOBS_MAX);
  const sum = { crc: 0, bytes: 0 };
  let dictionary: Buffer = Buffer.alloc(0);
  yield header(level);
  try {
    for await (const block of blocksOf(source)) {
      sum.crc = crc32(block, sum.crc);
      sum.bytes += block.length;
      jobs.push(deflateBlock(block, { level, dictionary }));
      dictionary = block.subarray(-WINDOW_BYTES);
      if (jobs.length >= jobsMax) yield await (jobs.shift() as Promise<Buffer>);
    }
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) yield await job;
  } finally {
    await Promise.allSettled(jobs);
  }
  yield trailer(sum);
}

const header = (level: number): Buffer => {
  const effort = level === 9 ? 2 : level === 1 ? 4 : 0;
  // No name, no time, and no operating system.
  return Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, 0xff]);
};

const trailer = ({ crc, bytes }: { readonly crc: number; readonly bytes: number }): Buffer => {
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc, 0);
  end.writeUInt32LE(bytes % 2 ** 32, 4);
  return Buffer.concat([LAST_BLOCK, end]);
};

/** A stream in pieces of the same size, the last one smaller. Their memory is used again. */
async function* blocksOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  const ring: Buffer[] = [];
  let block = nextOf(ring);
  let filled = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + BLOCK_BYTES - filled);
      block.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < BLOCK_BYTES) continue;
      yield block;
      block = nextOf(ring);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** One that no job reads any more: not those at work, nor the one whose end is a dictionary, nor the one before. */
const nextOf = (ring: Buffer[]): Buffer => {
  const oldest = ring.length < JOBS_MAX + 2 ? Buffer.allocUnsafeSlow(BLOCK_BYTES) : (ring.shift() as Buffer);
  ring.push(oldest);
  return oldest;
};

/** Compresses one block up to a byte's boundary, so that blocks can be put one after the other. */
const deflateBlock = (
  block: Buffer,
  { level, dictionary }: { readonly level: number; readonly dictionary: Buffer },
): Promise<Buffer> => {
  const options = { level, chunkSize: OUTPUT_BYTES, finishFlush: constants.Z_SYNC_FLUSH };
  const job = new Promise<Buffer>((resolve, reject) => {
    deflateRaw(block, dictionary.length === 0 ? options : { ...options, dictionary }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
  // Its error is met in its turn, or nobody waits for it any more.
  job.catch(() => undefined);
  return job;
};
