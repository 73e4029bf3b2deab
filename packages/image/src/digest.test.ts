import { describe, expect, it } from '@jest/globals';

import { chainId, chainIds, digestOf, isDigest, parseDigest, type Digest } from './digest.ts';

const hex = 'a'.repeat(64);

describe('digest', () => {
  it('accepts only sha256 with 64 lower-case hex digits', () => {
    expect(parseDigest(`sha256:${hex}`)).toBe(`sha256:${hex}`);
    for (const text of [
      '',
      hex,
      `sha256:${hex}0`,
      `sha256:${'A'.repeat(64)}`,
      `sha512:${hex}`,
      `sha256:${hex.slice(1)}\n`,
      `sha256:../${hex.slice(3)}`,
    ]) {
      expect(isDigest(text)).toBe(false);
      expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }));
    }
  });

  it('chains diff ids as the specification says', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOf(text)) as [Digest, Digest, Digest];
    const ab = digestOf(`${a} ${b}`);
    expect(chainIds([a, b, c])).toEqual([a, ab, digestOf(`${ab} ${c}`)]);
    expect(chainId([a])).toBe(a);
    expect(() => chainId([])).toThrow(RangeError);
  });
});
