import { RuntimeError } from '../errors.ts';
import type { LinuxSeccompArg } from '../oci-spec.ts';
import { highWord, lowWord, type Decision, type Decisions } from './decision.ts';

const MAX_U64 = 0xffff_ffff_ffff_ffffn;
const MAX_WORD = 0xffff_ffff;

/** A comparison of a profile, read: the argument is in an interval, or has these bits. */
export type Condition = Interval | Bits;

interface Interval {
  readonly type: 'interval';
  readonly index: number;
  readonly low: bigint;
  readonly high: bigint;
  readonly inside: boolean;
  readonly wide: boolean;
}

interface Bits {
  readonly type: 'masked';
  readonly index: number;
  readonly mask: bigint;
  readonly value: bigint;
}

/** Where to go if a condition holds, and if not. */
type Ends = readonly [then: Decision, otherwise: Decision];

/**
 * Reads one argument of a rule for an ABI.
 *
 * Where arguments are 32 bits wide, only the low halves of the profile's values count, as in libseccomp: -1, written as
 * 2⁶⁴ − 1, means the same on every machine.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_SECCOMP`: no such operator or argument, or a value that isn't a u64
 */
export function readCondition(arg: LinuxSeccompArg, { wide }: { readonly wide: boolean }): Condition {
  const { index, op } = arg;
  if (!Number.isInteger(index) || index < 0 || index > 5)
    throw invalid(`argument index is not 0 to 5: ${String(index)}`);
  const max = wide ? MAX_U64 : BigInt(MAX_WORD);
  const value = readU64(arg.value) & max;
  const interval = (low: bigint, high: bigint, inside = true): Condition => ({
    type: 'interval',
    index,
    low,
    high,
    inside,
    wide,
  });
  switch (op) {
    case 'SCMP_CMP_EQ':
      return interval(value, value);
    case 'SCMP_CMP_NE':
      return interval(value, value, false);
    case 'SCMP_CMP_LT':
      return interval(value, max, false);
    case 'SCMP_CMP_LE':
      return interval(0n, value);
    case 'SCMP_CMP_GT':
      return interval(0n, value, false);
    case 'SCMP_CMP_GE':
      return interval(value, max);
    case 'SCMP_CMP_MASKED_EQ':
      return { type: 'masked', index, mask: value, value: readU64(arg.valueTwo ?? 0) & max };
    default:
      throw invalid(`unknown operator ${JSON.stringify(op)}`);
  }
}

const invalid = (what: string): RuntimeError =>
  new RuntimeError('RUNTIME_INVALID_SECCOMP', `cannot read an argument of a seccomp rule: ${what}`);

function readU64(value: number | bigint): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw invalid(`not an exact integer: ${String(value)}`);
  const exact = BigInt(value);
  if (exact < 0n || exact > MAX_U64) throw invalid(`value is not between 0 and 2^64-1: ${String(value)}`);
  return exact;
}

/** The condition as a decision between two others; each 64-bit comparison looks at the high word, then the low one. */
export function decideCondition(make: Decisions, condition: Condition, ends: Ends): Decision {
  return condition.type === 'masked' ? decideMasked(make, condition, ends) : decideInterval(make, condition, ends);
}

function decideInterval(make: Decisions, condition: Interval, [yes, no]: Ends): Decision {
  const ends: Ends = condition.inside ? [yes, no] : [no, yes];
  const [lowHigh, lowLow] = halves(condition.low);
  const [highHigh, highLow] = halves(condition.high);
  const [high, low] = [highWord(condition.index), lowWord(condition.index)];
  if (!condition.wide) return make.within(low, [lowLow, highLow], ends);
  if (lowHigh === highHigh) {
    return make.within(high, [lowHigh, lowHigh], [make.within(low, [lowLow, highLow], ends), ends[1]]);
  }
  const ranges = [
    { from: 0, to: ends[1] },
    { from: lowHigh, to: make.within(low, [lowLow, MAX_WORD], ends) },
    { from: lowHigh + 1, to: ends[0] },
    { from: highHigh, to: make.within(low, [0, highLow], ends) },
    { from: highHigh + 1, to: ends[1] },
  ];
  // A range that begins where the next one does, or beyond the last word, is empty.
  return make.search(
    high,
    ranges.filter(({ from }, index) => from !== ranges[index + 1]?.from && from <= MAX_WORD),
  );
}

function decideMasked(make: Decisions, { index, mask, value }: Bits, [yes, no]: Ends): Decision {
  const [maskHigh, maskLow] = halves(mask);
  const [valueHigh, valueLow] = halves(value);
  const low = decideMaskedWord(make, { word: lowWord(index), mask: maskLow, value: valueLow }, [yes, no]);
  return decideMaskedWord(make, { word: highWord(index), mask: maskHigh, value: valueHigh }, [low, no]);
}

function decideMaskedWord(
  make: Decisions,
  { word, mask, value }: { readonly word: number; readonly mask: number; readonly value: number },
  [then, otherwise]: Ends,
): Decision {
  const free = MAX_WORD - mask;
  if ((value & free) !== 0) return otherwise;
  // A mask that keeps the upper bits only is a range of numbers.
  if ((free & (free + 1)) === 0) return make.within(word, [value, value + free], [then, otherwise]);
  return make.masked({ word, mask, value, then, otherwise });
}

const halves = (value: bigint): readonly [number, number] => [Number(value >> 32n), Number(value & 0xffff_ffffn)];
