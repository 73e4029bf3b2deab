import { describe, expect, test } from '@jest/globals';

import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from '../oci-spec.ts';
import { actionReturn } from './action.ts';
import { X32_BIT, abisOf, type Abi, type SeccompArch } from './architecture.ts';
import { compileSeccomp } from './compile.ts';
import { defaultSeccompProfile } from './default-profile.ts';
import { allCapabilities, defaultCapabilities } from '../capabilities.ts';

const ALLOW = 0x7fff_0000;
const KILL_PROCESS = 0x8000_0000;
const errno = (code: number): number => 0x0005_0000 + code;
const U64 = (1n << 64n) - 1n;

/** What the kernel hands a filter: struct seccomp_data, without the instruction pointer. */
interface Call {
  readonly nr: number;
  readonly audit: number;
  readonly args: readonly bigint[];
}

/** Runs a program as the kernel would: loads, jumps and returns; anything else is a mistake of the compiler. */
function run(program: Uint8Array, { nr, audit, args }: Call): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, audit, true);
  args.forEach((arg, index) => data.setBigUint64(16 + 8 * index, arg, true));
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  for (let pc = 0, a = 0; pc * 8 < program.length; pc++) {
    const k = code.getUint32(pc * 8 + 4, true);
    const branch = (taken: boolean): number => code.getUint8(pc * 8 + (taken ? 2 : 3));
    switch (code.getUint16(pc * 8, true)) {
      case 0x20:
        a = data.getUint32(k, true);
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x05:
        pc += k;
        break;
      case 0x15:
        pc += branch(a === k);
        break;
      case 0x35:
        pc += branch(a >= k);
        break;
      case 0x45:
        pc += branch((a & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`illegal instruction at ${String(pc)}`);
    }
  }
  throw new Error('the program runs off its end');
}

const compare: Readonly<Record<string, (arg: bigint, value: bigint, two: bigint) => boolean>> = {
  SCMP_CMP_EQ: (arg, value) => arg === value,
  SCMP_CMP_NE: (arg, value) => arg !== value,
  SCMP_CMP_LT: (arg, value) => arg < value,
  SCMP_CMP_LE: (arg, value) => arg <= value,
  SCMP_CMP_GT: (arg, value) => arg > value,
  SCMP_CMP_GE: (arg, value) => arg >= value,
  SCMP_CMP_MASKED_EQ: (arg, value, two) => (arg & value) === two,
};

/** The meaning of a profile, said as plainly as possible. */
function evaluate(profile: LinuxSeccomp, arch: SeccompArch, { nr, audit, args }: Call): number {
  const abis = abisOf[arch].filter(({ name }, index) => index === 0 || profile.architectures?.includes(name));
  const found = abis.filter((abi) => abi.audit === audit);
  const isX32 = arch === 'x86_64' && nr >= X32_BIT && found[0]?.base === 0 && found[0].wide;
  const abi = isX32 ? found[1] : found[0];
  if (abi === undefined) return isX32 && nr === 0xffff_ffff ? beyond(profile, found[0]) : KILL_PROCESS;
  const names = new Set([...abi.numbers()].filter(([, number]) => number + abi.base === nr).map(([name]) => name));
  const rules = (profile.syscalls ?? []).filter((rule) => rule.names.some((name) => names.has(name)));
  const match = rules.find((rule) => matches(rule, abi, args));
  if (match !== undefined) return actionReturn(match.action, match.errnoRet);
  return isNew(profile, abi, nr) ? beyond(profile, abi) : actionReturn(profile.defaultAction, profile.defaultErrnoRet);
}

function matches({ args: conditions = [] }: LinuxSyscall, { wide }: Abi, args: readonly bigint[]): boolean {
  const cut = wide ? U64 : 0xffff_ffffn;
  const holds = ({ index, op, value, valueTwo = 0 }: LinuxSeccompArg): boolean =>
    compare[op]?.((args[index] ?? 0n) & cut, BigInt(value) & cut, BigInt(valueTwo) & cut) ?? false;
  const repeated = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  return repeated ? conditions.some(holds) : conditions.every(holds);
}

const namedNumbers = (profile: LinuxSeccomp, abi: Abi): readonly number[] =>
  (profile.syscalls ?? []).flatMap(({ names }) => names).flatMap((name) => abi.numbers().get(name) ?? []);

function isNew(profile: LinuxSeccomp, abi: Abi, nr: number): boolean {
  const special = abi.special ?? Infinity;
  const run = namedNumbers(profile, abi).filter((number) => number >= special === nr - abi.base >= special);
  return run.length > 0 && nr - abi.base > Math.max(...run);
}

function beyond(profile: LinuxSeccomp, abi: Abi | undefined): number {
  const passes = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(profile.defaultAction);
  const named = abi !== undefined && namedNumbers(profile, abi).length > 0;
  return passes || !named ? actionReturn(profile.defaultAction, profile.defaultErrnoRet) : errno(38);
}

/** A small generator with a seed, so that a failure can be seen again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pick = <T>(roll: (below: number) => number, list: readonly T[]): T => {
  const item = list[roll(list.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
};

/** Numbers where comparisons go wrong: ends of words, signs, and what profiles use. */
const VALUES = [
  ...[0n, 1n, 2n, 8n, 38n, 39n, 40n, 41n, 0x2_0000n, 0x1000_0000n, 0x7e02_0000n, 0x7fff_ffffn, 0x8000_0000n],
  ...[0xffff_fffen, 0xffff_ffffn, 1n << 32n, (1n << 32n) + 38n, (1n << 32n) + 0xffff_ffffn, 5n << 32n],
  ...[1n << 63n, U64 - 0xffff_ffffn, U64 - 1n, U64],
];

function randomArg(roll: (below: number) => number): LinuxSeccompArg {
  return {
    index: roll(10) < 7 ? 0 : roll(6),
    value: pick(roll, VALUES),
    valueTwo: pick(roll, VALUES),
    op: pick(roll, Object.keys(compare)),
  };
}

function randomProfile(seed: number, arch: SeccompArch): LinuxSeccomp {
  const roll = random(seed);
  const names = [...abisOf[arch][0].numbers().keys()];
  const actions = [
    'SCMP_ACT_ALLOW',
    'SCMP_ACT_ERRNO',
    'SCMP_ACT_KILL',
    'SCMP_ACT_TRAP',
    'SCMP_ACT_LOG',
    'SCMP_ACT_TRACE',
  ];
  const syscalls = Array.from({ length: 1 + roll(60) }, (): LinuxSyscall => {
    const action = pick(roll, actions);
    return {
      names: Array.from({ length: 1 + roll(4) }, () => pick(roll, roll(2) === 0 ? names : names.slice(0, 20))),
      action,
      ...(action === 'SCMP_ACT_ERRNO' ? { errnoRet: roll(100) } : {}),
      args: Array.from({ length: roll(4) }, () => randomArg(roll)),
    };
  });
  const architectures = abisOf[arch].filter(() => roll(2) === 0).map(({ name }) => name);
  return { defaultAction: pick(roll, actions), architectures, syscalls };
}

/** Every number there is or could be, on every way into the kernel, each with other arguments. */
function* calls(arch: SeccompArch, roll: (below: number) => number): Generator<Call> {
  const numbers = Array.from({ length: 560 }, (_, nr) => nr);
  const odd = [0x000e_ffff, ...Array.from({ length: 9 }, (_, nr) => 0x000f_0000 + nr), X32_BIT - 1, 0xffff_ffff];
  const x32 = numbers.map((nr) => X32_BIT + nr);
  const audits = [...abisOf[arch].map(({ audit }) => audit), 0xc000_00f3];
  for (const audit of new Set(audits)) {
    for (const nr of [...numbers, ...odd, ...x32]) yield { nr, audit, args: randomArgs(roll) };
  }
}

const randomArgs = (roll: (below: number) => number): readonly bigint[] =>
  Array.from({ length: 6 }, () => (pick(roll, VALUES) + BigInt(roll(3)) - 1n) & U64);

function expectSame(profile: LinuxSeccomp, arch: SeccompArch, seed: number): void {
  const program = compileSeccomp(profile, { arch });
  for (const call of calls(arch, random(seed))) {
    const [actual, expected] = [run(program, call), evaluate(profile, arch, call)];
    if (actual !== expected)
      throw new Error(`seed ${String(seed)}: ${show(call)}: ${hex(actual)}, not ${hex(expected)}`);
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const show = ({ nr, audit, args }: Call): string =>
  `nr ${hex(nr)} arch ${hex(audit)} args ${args.map(String).join(' ')}`;

const NATIVE = { nr: 0, audit: 0xc000_003e, args: [] };
const number = (name: string): number => abisOf.x86_64[0].numbers().get(name) ?? -1;
const verdict = (profile: LinuxSeccomp, name: string, args: readonly bigint[] = []): number =>
  run(compileSeccomp(profile, { arch: 'x86_64' }), { ...NATIVE, nr: number(name), args });

describe('a compiled profile does what the profile says', () => {
  test.each(['x86_64', 'aarch64'] as const)('the default one, for every number: %s', (arch) => {
    for (const capabilities of [[], defaultCapabilities, allCapabilities]) {
      expectSame(defaultSeccompProfile({ capabilities }), arch, 1);
      expectSame(defaultSeccompProfile({ capabilities, arch: arch === 'x86_64' ? 'aarch64' : 'x86_64' }), arch, 2);
    }
  });

  test.each(['x86_64', 'aarch64'] as const)('random ones: %s', (arch) => {
    for (let seed = 0; seed < 40; seed++) expectSame(randomProfile(seed, arch), arch, seed);
  });

  test('one argument compared with many values, by many rules', () => {
    for (let seed = 0; seed < 300; seed++) {
      const roll = random(seed);
      const rule = (): LinuxSyscall => ({
        names: ['ioctl'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: roll(5),
        args: [{ ...randomArg(roll), index: 1 }],
      });
      const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: Array.from({ length: 1 + roll(8) }, rule) };
      const program = compileSeccomp(profile, { arch: 'x86_64' });
      for (const value of VALUES.flatMap((near) => [(near - 1n) & U64, near, (near + 1n) & U64])) {
        const call = { ...NATIVE, nr: number('ioctl'), args: [0n, value] };
        expect([seed, value, run(program, call)]).toEqual([seed, value, evaluate(profile, 'x86_64', call)]);
      }
    }
  });

  test('a program longer than a jump reaches', () => {
    const names = [...abisOf.x86_64[0].numbers().keys()];
    const syscalls = names.flatMap((name, index): readonly LinuxSyscall[] => [
      {
        names: [name],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: index,
        args: [
          { index: 0, value: index, op: 'SCMP_CMP_GE' },
          { index: 1, value: 7n << 33n, valueTwo: 1n << 33n, op: 'SCMP_CMP_MASKED_EQ' },
        ],
      },
    ]);
    const profile = { defaultAction: 'SCMP_ACT_KILL', syscalls };
    expect(compileSeccomp(profile, { arch: 'x86_64' }).length / 8).toBeGreaterThan(2000);
    expectSame(profile, 'x86_64', 3);
  });
});

describe('size', () => {
  const instructions = (architectures: readonly string[]): number => {
    const profile = { ...defaultSeccompProfile({ capabilities: defaultCapabilities }), architectures };
    return compileSeccomp(profile, { arch: 'x86_64' }).length / 8;
  };

  test('the default profile is a tree of about eighty instructions, and under 300 with all sub-architectures', () => {
    expect(instructions([])).toBeLessThanOrEqual(85);
    expect(instructions(['SCMP_ARCH_X86', 'SCMP_ARCH_X32'])).toBeLessThanOrEqual(290);
  });

  test('more than the kernel takes is refused', () => {
    const compile = (names: readonly string[], each: number): Uint8Array => {
      const args = Array.from({ length: each }, (_, value) => ({ index: 0, value, op: 'SCMP_CMP_EQ' }));
      const syscalls = args.flatMap((arg, errnoRet) =>
        names.map((name) => ({ names: [name], action: 'SCMP_ACT_TRACE', errnoRet, args: [arg] })),
      );
      return compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }, { arch: 'x86_64' });
    };
    expect(compile(['read'], 700).length / 8).toBeLessThan(4096);
    expect(() => compile(['read'], 2000)).toThrow(/more than 1024 rules/);
    expect(() => compile(['read'], 60_000)).toThrow(/more than 1024 rules/);
    expect(() => compile(['read', 'write'], 700)).not.toThrow();
    const many = [...abisOf.x86_64[0].numbers().keys()].slice(0, 30);
    const uneven = many.flatMap((name, value) =>
      Array.from({ length: 60 }, (_, errnoRet) => ({
        names: [name],
        action: 'SCMP_ACT_TRACE',
        errnoRet,
        args: [{ index: errnoRet % 6, value: value * 100 + errnoRet, op: 'SCMP_CMP_EQ' }],
      })),
    );
    expect(() => compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: uneven }, { arch: 'x86_64' })).toThrow(
      /instructions/,
    );
  });
});

describe('rules', () => {
  const rule = (action: string, args: readonly LinuxSeccompArg[] = []): LinuxSyscall => ({
    names: ['socket'],
    action,
    args,
  });
  const denyAll = (...syscalls: readonly LinuxSyscall[]): LinuxSeccomp => ({
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls,
  });

  test('the first that matches decides', () => {
    const profile = denyAll(rule('SCMP_ACT_KILL', [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }]), rule('SCMP_ACT_ALLOW'));
    expect(verdict(profile, 'socket', [1n])).toBe(0);
    expect(verdict(profile, 'socket', [2n])).toBe(ALLOW);
    expect(verdict(denyAll(...(profile.syscalls ?? []).toReversed()), 'socket', [1n])).toBe(ALLOW);
  });

  test('conditions on different arguments must all hold, on the same one any', () => {
    const arg = (index: number, value: number): LinuxSeccompArg => ({ index, value, op: 'SCMP_CMP_EQ' });
    expect(verdict(denyAll(rule('SCMP_ACT_ALLOW', [arg(0, 1), arg(1, 2)])), 'socket', [1n, 3n])).toBe(errno(1));
    expect(verdict(denyAll(rule('SCMP_ACT_ALLOW', [arg(0, 1), arg(1, 2)])), 'socket', [1n, 2n])).toBe(ALLOW);
    expect(verdict(denyAll(rule('SCMP_ACT_ALLOW', [arg(0, 1), arg(0, 2)])), 'socket', [2n])).toBe(ALLOW);
  });

  test('a name that no machine has is reported and does nothing', () => {
    const unknown: string[] = [];
    const profile = denyAll({ names: ['raed', 'read', 'cacheflush'], action: 'SCMP_ACT_ALLOW' });
    const program = compileSeccomp(profile, { arch: 'x86_64', onUnknownSyscall: (name) => unknown.push(name) });
    expect(unknown).toEqual(['raed']);
    expect(run(program, { ...NATIVE, nr: 0 })).toBe(ALLOW);
  });

  test.each([
    ['SCMP_ACT_NOTIFY', undefined, /SCMP_ACT_NOTIFY/],
    ['SCMP_ACT_ALOW', undefined, /unknown action/],
    ['SCMP_ACT_ALLOW', 1, /errno/],
    ['SCMP_ACT_ERRNO', 5000, /between 0 and 4095/],
  ])('refused: %s with errno %s', (action, errnoRet, message) => {
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['read'], action, ...(errnoRet === undefined ? {} : { errnoRet }) }],
    };
    const compile = (): unknown => compileSeccomp(profile, { arch: 'x86_64' });
    expect(compile).toThrow(message);
    expect(compile).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_SECCOMP' }));
  });

  test.each([
    [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }],
    [{ index: 0, value: -1, op: 'SCMP_CMP_EQ' }],
    [{ index: 0, value: 2 ** 60, op: 'SCMP_CMP_EQ' }],
    [{ index: 0, value: 0, op: 'SCMP_CMP_LIKE' }],
  ])('refused: argument %j', (arg) => {
    expect(() => verdict(denyAll(rule('SCMP_ACT_ALLOW', [arg])), 'socket')).toThrow(/argument of a seccomp rule/);
  });

  test('an architecture that there is none of is refused, one of another machine is not', () => {
    const profile = (name: string): LinuxSeccomp => ({ defaultAction: 'SCMP_ACT_ALLOW', architectures: [name] });
    expect(() => compileSeccomp(profile('SCMP_ARCH_VAX'), { arch: 'x86_64' })).toThrow(/SCMP_ARCH_VAX/);
    expect(verdict(profile('SCMP_ARCH_S390X'), 'read')).toBe(ALLOW);
  });
});
