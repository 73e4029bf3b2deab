import { createHash } from 'node:crypto';

import { ImageError, quote } from './errors.ts';

/** The address of content: the hash of its bytes. SHA-256 is the one algorithm that every registry and tool writes. */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export const isDigest = (text: string): text is Digest => text.length === 71 && DIGEST.test(text);

/**
 * Checks that a text is a digest: `sha256:` and 64 lower-case hexadecimal digits.
 *
 * @throws {@link ImageError} `DIGEST_INVALID`
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 */
export const parseDigest = (text: string): Digest => {
  if (!isDigest(text))
    throw new ImageError('DIGEST_INVALID', `invalid digest ${quote(text)}: want sha256: and 64 hex digits`);
  return text;
};

/** The 64 hexadecimal digits, as blob files are named. */
export const digestHex = (digest: Digest): string => digest.slice('sha256:'.length);

export const digestOf = (bytes: Uint8Array | string): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * Names each stack of layers: entry `i` identifies layers `0…i` applied in order, so equal stacks are unpacked once.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
 */
export const chainIds = (diffIds: readonly Digest[]): readonly Digest[] => {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent === undefined ? diffId : digestOf(`${parent} ${diffId}`));
  }
  return chain;
};

/** The chain id of the whole stack. @throws RangeError for an empty stack, which has no chain id */
export const chainId = (diffIds: readonly Digest[]): Digest => {
  const last = chainIds(diffIds).at(-1);
  if (last === undefined) throw new RangeError('a chain id needs at least one layer');
  return last;
};
