import { Readable } from 'node:stream';

import { describe, expect, test } from '@jest/globals';

import { digestOf } from '../digest.ts';
import type { Blob } from '../image/blob.ts';
import { UploadSource } from './upload-source.ts';

/** A blob in chunks of three bytes, which counts how often it is opened. */
const counted = (text: string, size = text.length): { blob: Blob; opened: () => number; streams: Readable[] } => {
  const streams: Readable[] = [];
  const chunks = (text.match(/.{1,3}/g) ?? []).map((part) => Buffer.from(part));
  const blob = {
    descriptor: { mediaType: 'text/plain', digest: digestOf(text), size },
    open: () => {
      const stream = Readable.from(chunks, { objectMode: false });
      streams.push(stream);
      return stream;
    },
  };
  return { blob, opened: () => streams.length, streams };
};

const textOf = async (bytes: AsyncIterable<Buffer>): Promise<string> => {
  let text = '';
  for await (const chunk of bytes) text += chunk.toString();
  return text;
};

describe('UploadSource', () => {
  test('gives parts one after the other from one stream', async () => {
    const { blob, opened } = counted('0123456789');
    using source = new UploadSource(blob, undefined);
    await expect(textOf(source.bytes(0, 4))).resolves.toBe('0123');
    await expect(textOf(source.bytes(4, 4))).resolves.toBe('4567');
    await expect(textOf(source.bytes(8, 2))).resolves.toBe('89');
    expect(opened()).toBe(1);
  });

  test('begins again to go back, to go further, and after a part that was given up', async () => {
    const { blob, opened } = counted('0123456789');
    using source = new UploadSource(blob, undefined);
    await textOf(source.bytes(0, 4));
    await expect(textOf(source.bytes(6, 4))).resolves.toBe('6789');
    await expect(textOf(source.bytes(1, 2))).resolves.toBe('12');
    const givenUp = source.bytes(3, 6);
    await givenUp.next();
    await expect(textOf(source.bytes(3, 6))).resolves.toBe('345678');
    expect(opened()).toBe(4);
  });

  test.each([
    ['0123', 5, 'fewer'],
    ['012345', 5, 'more'],
  ])('%j is not %i bytes: %s', async (text, size, what) => {
    using source = new UploadSource(counted(text, size).blob, undefined);
    await expect(textOf(source.bytes(0, size))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
      message: expect.stringContaining(what),
    });
    expect(() => source.throwIfFailed()).toThrow('its source has changed');
  });

  test('closes its streams', async () => {
    const { blob, streams } = counted('0123456789');
    const source = new UploadSource(blob, undefined);
    await source.bytes(0, 2).next();
    source[Symbol.dispose]();
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true]);
  });
});
