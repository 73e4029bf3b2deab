import { describe, expect, it } from '@jest/globals';

import type { DeviceRule } from '../limits.ts';
import { compileDeviceProgram } from './program.ts';
import { normalizeDeviceRules } from './rules.ts';

interface Request {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

/** What the kernel does with the program, for the few instructions that there are. */
function run(program: Uint8Array, { type, major, minor, access }: Request): boolean {
  const code = new DataView(program.buffer);
  const bits = Object.entries({ m: 1, r: 2, w: 4 }).reduce(
    (sum, [letter, bit]) => sum | (access.includes(letter) ? bit : 0),
    0,
  );
  const context = new Map([
    [0, (bits << 16) | (type === 'b' ? 1 : 2)],
    [4, major],
    [8, minor],
  ]);
  const registers = Array.from({ length: 11 }, () => 0);
  for (let at = 0; at < program.length; at += 8) {
    const registerByte = code.getUint8(at + 1);
    const [destination, source] = [registerByte & 0xf, registerByte >> 4];
    const [offset, immediate] = [code.getInt16(at + 2, true), code.getInt32(at + 4, true)];
    const value = registers[destination] ?? 0;
    const effects: Readonly<Record<number, () => number>> = {
      0x61: () => context.get(offset) ?? Number.NaN,
      0xb7: () => immediate,
      0xbf: () => registers[source] ?? 0,
      0x54: () => value & immediate,
      0x74: () => value >>> immediate,
    };
    const operation = code.getUint8(at);
    const effect = effects[operation];
    if (operation === 0x95) return registers[0] === 1;
    if (operation === 0x55 || operation === 0x15) {
      if ((value === immediate) === (operation === 0x15)) at += offset * 8;
    } else if (effect !== undefined) registers[destination] = effect();
    else throw new Error(`no such instruction: ${operation.toString(16)}`);
  }
  throw new Error('ran off the end');
}

const compile = (rules: readonly DeviceRule[]): Uint8Array => compileDeviceProgram(normalizeDeviceRules(rules));

const rule = (
  allow: boolean,
  type: 'a' | 'b' | 'c',
  access: string,
  numbers: readonly [number | '*', number | '*'],
) => ({
  allow,
  type,
  access,
  major: numbers[0],
  minor: numbers[1],
});

describe('compileDeviceProgram', () => {
  const program = compile([
    rule(false, 'a', 'rwm', ['*', '*']),
    rule(true, 'c', 'rw', [1, 3]),
    rule(true, 'c', 'rwm', [136, '*']),
    rule(true, 'b', 'm', ['*', '*']),
  ]);
  const ask = (type: 'b' | 'c', device: string, access: string): boolean => {
    const [major = 0, minor = 0] = device.split(':').map(Number);
    return run(program, { type, major, minor, access });
  };

  it('allows what a rule names', () => {
    expect(ask('c', '1:3', 'r')).toBe(true);
    expect(ask('c', '1:3', 'rw')).toBe(true);
    expect(ask('c', '136:12', 'rwm')).toBe(true);
    expect(ask('b', '8:0', 'm')).toBe(true);
  });

  it('denies everything else', () => {
    expect(ask('c', '1:3', 'm')).toBe(false);
    expect(ask('c', '1:3', 'rm')).toBe(false);
    expect(ask('c', '1:4', 'r')).toBe(false);
    expect(ask('c', '2:3', 'r')).toBe(false);
    expect(ask('b', '1:3', 'r')).toBe(false);
    expect(ask('b', '8:0', 'rm')).toBe(false);
  });

  it('denies a request of which any part is denied', () => {
    const noWrite = compile([rule(false, 'c', 'w', [1, '*'])]);
    expect(run(noWrite, { type: 'c', major: 1, minor: 3, access: 'r' })).toBe(true);
    expect(run(noWrite, { type: 'c', major: 1, minor: 3, access: 'rw' })).toBe(false);
    expect(run(noWrite, { type: 'c', major: 2, minor: 3, access: 'rw' })).toBe(true);
  });

  it('decides as the last matching rule does, for random rules', () => {
    const random = mulberry32(20261121);
    const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
    const numbers = [0, 1, '*'] as const;
    const randomRule = (): DeviceRule =>
      rule(pick([true, false]), pick(['a', 'b', 'c', 'c']), pick(['r', 'w', 'm', 'rw', 'rwm', 'wm']), [
        pick(numbers),
        pick(numbers),
      ]);
    for (let round = 0; round < 500; round++) {
      const rules = Array.from({ length: Math.floor(random() * 9) }, randomRule);
      const compiled = compile(rules);
      for (const request of allRequests) {
        expect({ rules, request, allowed: run(compiled, request) }).toEqual({
          rules,
          request,
          allowed: lastMatch(rules, request)?.allow ?? true,
        });
      }
    }
  });
});

const allRequests: readonly Request[] = (['b', 'c'] as const).flatMap((type) =>
  [0, 1].flatMap((major) =>
    [0, 1].flatMap((minor) => ['r', 'w', 'm'].map((access) => ({ type, major, minor, access }))),
  ),
);

const lastMatch = (rules: readonly DeviceRule[], request: Request): DeviceRule | undefined =>
  rules.findLast(
    ({ type, major, minor, access }) =>
      (type === 'a' || type === request.type) &&
      (major === '*' || major === request.major) &&
      (minor === '*' || minor === request.minor) &&
      access.includes(request.access),
  );

/** A small generator with a seed, so that a failure happens again. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
