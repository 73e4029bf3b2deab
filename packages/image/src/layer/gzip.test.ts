import { gunzipSync } from 'node:zlib';

import { describe, expect, it } from '@jest/globals';

import { gzip } from './gzip.ts';

/** Bytes that compress somewhat, always the same. */
const sample = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  let seed = 1;
  for (let i = 0; i < length; i += 1) {
    if (i % 7 === 0) seed = (seed * 48_271) % 2_147_483_647;
    bytes[i] = i % 7 === 0 ? seed : i >> 9;
  }
  return bytes;
};

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

const collected = async (chunks: AsyncIterable<Buffer>): Promise<Buffer> => {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
};

const compressed = (bytes: Buffer, size: number, level?: number): Promise<Buffer> =>
  collected(gzip(pieces(bytes, size), { level }));

describe('gzip', () => {
  it.each([0, 1, 32_768, 524_287, 524_288, 524_289, 3_000_000])('comes back: %d bytes', async (length) => {
    const bytes = sample(length);
    expect(gunzipSync(await compressed(bytes, 100_000)).equals(bytes)).toBe(true);
  });

  it('gives the same bytes whatever pieces the input comes in', async () => {
    const bytes = sample(2_000_000);
    const [first, ...others] = await Promise.all(
      [1000, 65_537, 524_288, 2_000_000].map((size) => compressed(bytes, size)),
    );
    for (const other of others) expect(other.equals(first as Buffer)).toBe(true);
  });

  it('says nothing of the time, the machine or a name', async () => {
    expect((await compressed(sample(10), 10)).subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
  });

  it('obeys the level', async () => {
    const bytes = sample(1_000_000);
    const [fast, best] = await Promise.all([compressed(bytes, 65_536, 1), compressed(bytes, 65_536, 9)]);
    expect(best.length).toBeLessThan(fast.length);
    expect(gunzipSync(fast).equals(gunzipSync(best))).toBe(true);
  });

  it('sees repetitions across blocks', async () => {
    const noise = Buffer.from(sample(20_000).map((byte, i) => byte ^ (i * 2_654_435_761)));
    const padding = Buffer.alloc(524_288 - noise.length);
    const twice = await compressed(Buffer.concat([padding, noise, noise]), 65_536);
    const once = await compressed(Buffer.concat([padding, noise]), 65_536);
    expect(twice.length - once.length).toBeLessThan(noise.length / 10);
  });

  it('hands on the error of its source, and stops reading when nobody wants more', async () => {
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield await Promise.resolve(sample(600_000));
      throw new Error('gone');
    };
    await expect(collected(gzip(failing()))).rejects.toThrow('gone');
    let stopped = false;
    const endless = async function* (): AsyncGenerator<Buffer> {
      try {
        for (;;) yield await Promise.resolve(sample(600_000));
      } finally {
        stopped = true;
      }
    };
    for await (const chunk of gzip(endless())) if (chunk.length > 1000) break;
    expect(stopped).toBe(true);
  });
});
