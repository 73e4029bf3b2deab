import type { NormalRule, NormalRules } from './rules.ts';

// struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }, access_type = access << 16 | type
const ACCESS_TYPE = 0;
const MAJOR = 4;
const MINOR = 8;

const TYPES = { b: 1, c: 2 } as const;
const ACCESS = [
  ['m', 1],
  ['r', 2],
  ['w', 4],
] as const;
const ALL_ACCESS = 7;

// Registers: r0 the verdict, r1 the context that the kernel passes, then what was read from it.
const VERDICT = 0;
const CONTEXT = 1;
const TYPE = 2;
const WANTED = 3;
const DEVICE_MAJOR = 4;
const DEVICE_MINOR = 5;
const SCRATCH = 6;

// <linux/bpf_common.h> and <linux/bpf.h>: class | size or source or operation | mode
const LOAD_WORD = 0x61; // LDX | MEM | W
const MOVE = 0xb7; // ALU64 | MOV | K
const MOVE_REGISTER = 0xbf; // ALU64 | MOV | X
const AND_32 = 0x54; // ALU | AND | K
const SHIFT_RIGHT_32 = 0x74; // ALU | RSH | K
const JUMP_EQUAL = 0x15; // JMP | JEQ | K
const JUMP_NOT_EQUAL = 0x55; // JMP | JNE | K
const EXIT = 0x95; // JMP | EXIT

interface Instruction {
  readonly code: number;
  readonly destination: number;
  readonly source?: number;
  readonly offset?: number;
  readonly immediate?: number;
}

/**
 * A program of type BPF_PROG_TYPE_CGROUP_DEVICE that decides as the rules do: it tries them from the last to the first,
 * and returns 1 to allow and 0 to deny (EPERM). Pure; little-endian, as every machine we run on.
 *
 * @see https://docs.kernel.org/bpf/standardization/instruction-set.html
 */
export function compileDeviceProgram({ defaultAllow, rules }: NormalRules): Uint8Array {
  const instructions = [
    ...readContext,
    ...rules.toReversed().flatMap(compileRule),
    { code: MOVE, destination: VERDICT, immediate: defaultAllow ? 1 : 0 },
    { code: EXIT, destination: 0 },
  ];
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  instructions.forEach((instruction, index) => {
    encode(instruction, view, index * 8);
  });
  return bytes;
}

const readContext: readonly Instruction[] = [
  { code: LOAD_WORD, destination: TYPE, source: CONTEXT, offset: ACCESS_TYPE },
  { code: MOVE_REGISTER, destination: WANTED, source: TYPE },
  { code: AND_32, destination: TYPE, immediate: 0xffff },
  { code: SHIFT_RIGHT_32, destination: WANTED, immediate: 16 },
  { code: LOAD_WORD, destination: DEVICE_MAJOR, source: CONTEXT, offset: MAJOR },
  { code: LOAD_WORD, destination: DEVICE_MINOR, source: CONTEXT, offset: MINOR },
];

/** Tests that jump past the verdict when they fail, then the verdict. */
function compileRule(rule: NormalRule): readonly Instruction[] {
  const tests = [
    mismatch(TYPE, TYPES[rule.type]),
    ...(rule.major === '*' ? [] : [mismatch(DEVICE_MAJOR, rule.major)]),
    ...(rule.minor === '*' ? [] : [mismatch(DEVICE_MINOR, rule.minor)]),
    ...compileAccess(rule),
  ];
  const verdict = [
    { code: MOVE, destination: VERDICT, immediate: rule.allow ? 1 : 0 },
    { code: EXIT, destination: 0 },
  ];
  const all = [...tests, ...verdict];
  return all.map((instruction, index) =>
    isJump(instruction) ? { ...instruction, offset: all.length - index - 1 } : instruction,
  );
}

/** A request may want several kinds of access: allowing must cover them all, denying must hit any. */
function compileAccess({ access, allow }: NormalRule): readonly Instruction[] {
  const bits = ACCESS.reduce((sum, [letter, bit]) => sum | (access.includes(letter) ? bit : 0), 0);
  if (bits === ALL_ACCESS) return [];
  const mask = (immediate: number): Instruction[] => [
    { code: MOVE_REGISTER, destination: SCRATCH, source: WANTED },
    { code: AND_32, destination: SCRATCH, immediate },
  ];
  return allow
    ? [...mask(ALL_ACCESS & ~bits), mismatch(SCRATCH, 0)]
    : [...mask(bits), { code: JUMP_EQUAL, destination: SCRATCH, immediate: 0 }];
}

const mismatch = (register: number, immediate: number): Instruction => ({
  code: JUMP_NOT_EQUAL,
  destination: register,
  immediate,
});

const isJump = ({ code }: Instruction): boolean => code === JUMP_NOT_EQUAL || code === JUMP_EQUAL;

function encode(
  { code, destination, source = 0, offset = 0, immediate = 0 }: Instruction,
  view: DataView,
  at: number,
): void {
  view.setUint8(at, code);
  view.setUint8(at + 1, (source << 4) | destination);
  view.setInt16(at + 2, offset, true);
  view.setInt32(at + 4, immediate, true);
}
