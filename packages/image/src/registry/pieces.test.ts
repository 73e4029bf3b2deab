import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it } from '@jest/globals';

import { piecesOf } from './pieces.ts';

const collect = async (stream: Readable): Promise<Buffer> => {
  const all: Buffer[] = [];
  for await (const pieces of piecesOf(stream)) {
    all.push(...pieces);
    await nextTurn();
  }
  return Buffer.concat(all);
};

describe('the pieces of a stream', () => {
  it('are all of it, in order', async () => {
    const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
    const parts = Array.from({ length: 300 }, (_, i) => bytes.subarray(i * 10_000, (i + 1) * 10_000));
    expect((await collect(Readable.from(parts, { objectMode: false }))).equals(bytes)).toBe(true);
    expect(await collect(Readable.from([], { objectMode: false }))).toEqual(Buffer.alloc(0));
  });

  it('stop when the reader stops, and wait for one that is slow', async () => {
    let given = 0;
    const endless = function* (): Generator<Buffer> {
      for (;;) {
        given += 1;
        yield Buffer.alloc(10_000);
      }
    };
    const stream = Readable.from(endless(), { objectMode: false });
    for await (const pieces of piecesOf(stream)) {
      expect(pieces.length).toBeGreaterThan(0);
      for (let i = 0; i < 100; i += 1) await nextTurn();
      break;
    }
    expect(stream.destroyed).toBe(true);
    expect(given).toBeLessThan(100);
  });

  it('come before the error that ends them', async () => {
    const failing = function* (): Generator<Buffer> {
      yield Buffer.from('first');
      throw new Error('dropped');
    };
    const seen: string[] = [];
    await expect(
      (async () => {
        for await (const pieces of piecesOf(Readable.from(failing(), { objectMode: false })))
          seen.push(...pieces.map(String));
      })(),
    ).rejects.toThrow('dropped');
    expect(seen).toEqual(['first']);
    const destroyed = Readable.from(['x'], { objectMode: false });
    destroyed.destroy(new Error('gone'));
    await expect(collect(destroyed)).rejects.toThrow('gone');
  });
});
