import { describe, expect, it } from '@jest/globals';

import { FRAME_MAX_BYTES, FrameDecoder, encodeFrame, encodeResize, encodeSignal, frameTypes } from './monitor-frame.ts';

const numbers = (...values: readonly number[]): Buffer => {
  const data = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => data.writeInt32LE(value | 0, index * 4));
  return data;
};
const decode = (bytes: Buffer): unknown => new FrameDecoder().decode(bytes);

describe('frames to a monitor', () => {
  it('are a word of type and length, and the bytes', () => {
    expect(encodeFrame('stdin', Buffer.from('abc'))).toEqual(Buffer.from([3, 0, 0, 1, 0x61, 0x62, 0x63]));
    expect(encodeFrame('cleaned')).toEqual(Buffer.from([0, 0, 0, 6]));
    expect(encodeFrame('stdin', Buffer.alloc(FRAME_MAX_BYTES)).subarray(0, 4)).toEqual(Buffer.from([0, 0x80, 0, 1]));
    expect(encodeResize({ rows: 24, columns: 300 })).toEqual(Buffer.from([4, 0, 0, 3, 24, 0, 44, 1]));
    expect(encodeSignal(15)).toEqual(Buffer.from([4, 0, 0, 4, 15, 0, 0, 0]));
  });

  it('carry no size that a terminal cannot have', () => {
    for (const rows of [-1, 65_536, 1.5e9])
      expect(() => encodeResize({ rows, columns: 80 })).toThrow(/out of range|integer/);
  });
});

describe('frames from a monitor', () => {
  it('are told by their type', () => {
    const frames = [
      encodeFrame('started', numbers(4711)),
      encodeFrame('failed', numbers(7, 2)),
      encodeFrame('stdout', Buffer.from('out')),
      encodeFrame('stderr'),
      encodeFrame('exit', numbers(1, 3)),
    ];
    expect(decode(Buffer.concat(frames))).toEqual([
      { type: 'started', hostPid: 4711 },
      { type: 'failed', index: 7, errno: 2 },
      { type: 'stdout', data: Buffer.from('out') },
      { type: 'stderr', data: Buffer.alloc(0) },
      { type: 'exit', exitCode: 3, signal: undefined },
    ]);
  });

  it.each([
    ['killed', 2],
    ['dumped', 3],
  ])('give 128 and the signal when a process was %s', (_, code) => {
    expect(decode(encodeFrame('exit', numbers(code, 11)))).toEqual([{ type: 'exit', exitCode: 139, signal: 11 }]);
  });

  it('are the same in pieces of any size', () => {
    const frames = Array.from({ length: 20 }, (_, index) => encodeFrame('stdout', Buffer.alloc(index * 7, index)));
    const bytes = Buffer.concat(frames);
    const whole = decode(bytes);
    for (const size of [1, 2, 3, 5, 64, bytes.length]) {
      const decoder = new FrameDecoder();
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        decoder.decode(bytes.subarray(index * size, (index + 1) * size)),
      );
      expect(pieces.flat()).toEqual(whole);
    }
  });

  it('of a type that nobody knows are an error', () => {
    expect(() => decode(Buffer.from([0, 0, 0, 77]))).toThrow('unknown type 77');
    expect(Object.values(frameTypes)).not.toContain(77);
  });
});
