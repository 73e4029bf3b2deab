import { describe, expect, it } from '@jest/globals';

import { decodeName, encodeName } from './name.ts';

describe('names', () => {
  it.each([
    ['text', 'plain'],
    ['c3a4e282acf09f9880', 'ä€😀'],
    ['efbfbd', '\ufffd'],
    ['ff', '\udcff'],
    ['61ff62c3', 'a\udcffb\udcc3'],
    ['c3a4ff', 'ä\udcff'],
    // A surrogate in UTF-8 is none, an overlong slash neither.
    ['edb280', '\udced\udcb2\udc80'],
    ['c0af', '\udcc0\udcaf'],
    ['f4908080', '\udcf4\udc90\udc80\udc80'],
  ])('reads %s', (hex, text) => {
    const bytes = hex === 'text' ? Buffer.from('plain') : Buffer.from(hex, 'hex');
    expect(decodeName(bytes)).toBe(text);
    expect(encodeName(decodeName(bytes))).toEqual(bytes);
  });

  it('gives every sequence of bytes back', () => {
    let seed = 1;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
    const seen = new Map<string, string>();
    for (let round = 0; round < 3000; round += 1) {
      const bytes = Buffer.from(
        Array.from({ length: random() % 6 }, () => [0x61, 0xc3, 0xa4, 0xed, 0xf0, 0x90][random() % 6] as number),
      );
      const name = decodeName(bytes);
      expect(encodeName(name)).toEqual(bytes);
      expect(seen.get(name) ?? bytes.toString('hex')).toBe(bytes.toString('hex'));
      seen.set(name, bytes.toString('hex'));
    }
  });
});
