import { createHash } from 'node:crypto';

import { expect, test } from '@jest/globals';

import type { Digest } from '../names.ts';
import { DigestSet } from './digest-set.ts';

const digestOf = (at: number, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest =>
  `${algorithm}:${createHash(algorithm).update(String(at)).digest('hex')}`;

test('a set of digests has what was added, and nothing else', () => {
  const set = new DigestSet();
  const algorithm = (at: number): 'sha256' | 'sha512' => (at % 3 === 0 ? 'sha512' : 'sha256');
  const digests = Array.from({ length: 20_000 }, (_, at) => digestOf(at, algorithm(at)));
  const added = digests.filter((_, at) => at % 2 === 0);
  expect(added.every((digest) => set.add(digest))).toBe(true);
  expect(added.some((digest) => set.add(digest))).toBe(false);
  expect(set.size).toBe(10_000);
  expect(digests.filter((digest) => set.has(digest))).toEqual(added);
});

test('digests that begin with zeros have their place', () => {
  const set = new DigestSet();
  const digests = Array.from(
    { length: 50 },
    (_, at): Digest => `sha256:${String(at).padStart(32, '0')}${'f'.repeat(32)}`,
  );
  // The first word of these is 0 for all.
  expect(digests.every((digest) => set.add(digest))).toBe(true);
  expect(digests.every((digest) => set.has(digest))).toBe(true);
  expect(set.has(`sha256:${'9'.repeat(64)}`)).toBe(false);
});
