import { Readable } from 'node:stream';

import { describe, expect, it } from '@jest/globals';

import { alternating, markUnshared, release, releasing } from './chunk-memory.ts';

const slow = (bytes: number): Buffer => Buffer.allocUnsafeSlow(bytes).fill(7);

describe('release', () => {
  it('gives back the memory of a chunk that is all of it, or its end', () => {
    const [whole, end] = [slow(1024), slow(1024).subarray(300)];
    release(whole);
    release(end);
    expect([whole.length, end.length]).toEqual([0, 0]);
  });

  it('leaves memory of which somebody may have the rest', () => {
    const memory = slow(1024);
    release(memory.subarray(0, 1000));
    release(memory.subarray(900));
    expect(memory).toHaveLength(1024);
  });

  it("leaves what is of Node's pool", () => {
    const chunks = Array.from({ length: 1000 }, () => Buffer.from('of the pool'));
    for (const chunk of chunks) release(chunk);
    expect(chunks.every((chunk) => chunk.toString() === 'of the pool')).toBe(true);
  });
});

describe('releasing', () => {
  const read = async (stream: Readable): Promise<number> => {
    let bytes = 0;
    for await (const chunk of releasing(stream)) bytes += chunk.filter((byte) => byte === 7).length;
    return bytes;
  };

  it('gives back each chunk of an unshared stream after its turn', async () => {
    const chunks = [slow(1000), slow(2000)];
    expect(await read(markUnshared(Readable.from(chunks)))).toBe(3000);
    expect(chunks.map(({ length }) => length)).toEqual([0, 0]);
  });

  it('leaves the chunks of any other', async () => {
    const chunks = [slow(1000), slow(2000)];
    expect(await read(Readable.from(chunks))).toBe(3000);
    expect(chunks.map(({ length }) => length)).toEqual([1000, 2000]);
  });
});

describe('alternating', () => {
  const numbers =
    (total: number) =>
    (into: Buffer, position: number): Promise<number> => {
      const bytes = Math.min(into.length, total - position);
      for (let i = 0; i < bytes; i += 1) into[i] = (position + i) % 251;
      return Promise.resolve(bytes);
    };

  it('gives all bytes in order, from two buffers', async () => {
    const memories = new Set<unknown>();
    let bytes = 0;
    for await (const chunk of alternating(numbers(10_000), 1024)) {
      memories.add(chunk.buffer);
      expect(chunk.every((byte, i) => byte === (bytes + i) % 251)).toBe(true);
      bytes += chunk.length;
    }
    expect([bytes, memories.size]).toEqual([10_000, 2]);
  });

  it('fails after what was read before', async () => {
    const read = (into: Buffer, position: number): Promise<number> =>
      position === 0 ? Promise.resolve(into.length) : Promise.reject(new Error('gone'));
    const chunks = alternating(read, 16);
    expect((await chunks.next()).value).toHaveLength(16);
    await expect(chunks.next()).rejects.toThrow('gone');
  });

  it('gives nothing of nothing', async () => {
    expect(await alternating(numbers(0), 16).next()).toEqual({ done: true, value: undefined });
  });
});
