import { describe, expect, it } from '@jest/globals';

import { DetachKeys, parseDetachKeys } from './detach-keys.ts';

const P = 16;
const Q = 17;

describe('parseDetachKeys', () => {
  it('spells control keys', () => {
    expect(parseDetachKeys('ctrl-p,ctrl-q')).toEqual([P, Q]);
    expect(parseDetachKeys('ctrl-@,ctrl-[,ctrl-\\,a')).toEqual([0, 27, 28, 97]);
    expect(parseDetachKeys('')).toEqual([]);
    expect(() => parseDetachKeys('ctrl-1')).toThrow("unknown character: 'ctrl-1'");
  });
});

describe('DetachKeys', () => {
  const typing = (...chunks: readonly (readonly number[])[]) => {
    const keys = new DetachKeys([P, Q]);
    const results = chunks.map((chunk) => keys.feed(Uint8Array.from(chunk)));
    return { forward: results.flatMap(({ forward }) => [...forward]), detached: results.at(-1)?.detached };
  };
  it('passes everything else on', () => {
    expect(typing([97, Q, 98])).toEqual({ forward: [97, Q, 98], detached: false });
  });
  it('detaches on the sequence, in one piece or two, and swallows it', () => {
    expect(typing([97, P, Q, 98])).toEqual({ forward: [97], detached: true });
    expect(typing([97, P], [Q])).toEqual({ forward: [97], detached: true });
  });
  it('hands over what it held when the sequence breaks off', () => {
    expect(typing([P], [97])).toEqual({ forward: [P, 97], detached: false });
    expect(typing([P], [P], [97])).toEqual({ forward: [P, P, 97], detached: false });
    expect(typing([P, P, Q])).toEqual({ forward: [P], detached: true });
  });
  it('does nothing without keys', () => {
    expect(new DetachKeys([]).feed(Uint8Array.of(P, Q))).toEqual({ forward: Buffer.from([P, Q]), detached: false });
  });
});
