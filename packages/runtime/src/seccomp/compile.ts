import { RuntimeError } from '../errors.ts';
import type { LinuxSeccomp, LinuxSyscall } from '../oci-spec.ts';
import { ENOSYS, KILL_PROCESS, actionReturn, errnoReturn, isPermissive } from './action.ts';
import { KNOWN_ARCHITECTURES, X32_BIT, abisOf, type Abi, type SeccompArch } from './architecture.ts';
import { decideCondition, readCondition, type Condition } from './condition.ts';
import { Decisions, WORD_ARCH, WORD_NUMBER, type Decision, type Range } from './decision.ts';
import { assemble } from './program.ts';
import { simplify } from './simplify.ts';

export interface CompileOptions {
  /** The machine that the filter is for. */
  readonly arch: SeccompArch;
  /** Hears of each name in the profile that is no system call of any machine we know. Such a name has no effect. */
  readonly onUnknownSyscall?: ((name: string) => void) | undefined;
}

/** Each takes an instruction or more, and the kernel takes 4096 in all. */
const MAX_RULES = 1024;
/** Simplifying takes time that grows with the square of the rules; longer lists stay as they are. */
const MAX_SIMPLIFIED = 128;

/** All conditions hold → this value is returned. */
interface Rule {
  readonly conditions: readonly Condition[];
  readonly value: number;
}

/**
 * Compiles a profile to a classic BPF program for seccomp(2): an array of `struct sock_filter`, little endian.
 *
 * The first rule that matches a call decides; if none does, the default action. The program is a binary search over
 * ranges of system call numbers, one for each architecture in the profile (the machine's own is always in). A call
 * from any other architecture kills the process; so does an x32 call where x32 isn't listed.
 *
 * Two rules of runc's are kept, because profiles depend on them: several conditions on the *same* argument in one rule
 * mean any of them, and where the default denies, calls newer than everything that the profile names fail with ENOSYS,
 * so that programs fall back to what they used before.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_SECCOMP`: an unknown action, operator or architecture, SCMP_ACT_NOTIFY,
 *   an errno where none can be, or a program longer than the kernel takes
 * @see https://docs.kernel.org/userspace-api/seccomp_filter.html
 */
export function compileSeccomp(profile: LinuxSeccomp, options: CompileOptions): Uint8Array {
  const abis = listedAbis(profile, options.arch);
  const make = new Decisions();
  reportUnknown(profile, options);
  const kill = make.returns(KILL_PROCESS);
  const audits = [...new Set(abis.map(({ audit }) => audit))];
  const points = audits.map((audit): readonly [number, Decision] => {
    const sharing = abis.filter((abi) => abi.audit === audit);
    const ranges = sharing.flatMap((abi) => planAbi(make, profile, abi));
    const open = sharing.length > 1 || sharing[0]?.name !== 'SCMP_ARCH_X86_64';
    return [audit, make.search(WORD_NUMBER, open ? ranges : closeX32(make, ranges))];
  });
  return assemble(make.search(WORD_ARCH, scatter(points, kill)));
}

function listedAbis(profile: LinuxSeccomp, arch: SeccompArch): readonly Abi[] {
  const listed = profile.architectures ?? [];
  const unknown = listed.find((name) => !KNOWN_ARCHITECTURES.has(name));
  if (unknown !== undefined) {
    throw new RuntimeError(
      'RUNTIME_INVALID_SECCOMP',
      `unknown architecture in the seccomp profile: ${JSON.stringify(unknown)}`,
    );
  }
  return abisOf[arch].filter(({ name }, index) => index === 0 || listed.includes(name));
}

function reportUnknown({ syscalls = [] }: LinuxSeccomp, { onUnknownSyscall }: CompileOptions): void {
  if (onUnknownSyscall === undefined) return;
  const abis = Object.values(abisOf).flat();
  for (const name of new Set(syscalls.flatMap(({ names }) => names))) {
    if (!abis.some((abi) => abi.numbers().has(name))) onUnknownSyscall(name);
  }
}

/** Where x32 isn't listed its half of the numbers kills, but for -1, which a tracer makes of a call to be skipped. */
function closeX32(make: Decisions, ranges: readonly Range[]): readonly Range[] {
  const skipped = ranges.slice(-1).map(({ to }) => ({ from: 0xffff_ffff, to }));
  return [...ranges, { from: X32_BIT, to: make.returns(KILL_PROCESS) }, ...skipped];
}

/** Single numbers among everything else, as ranges. */
function scatter(points: readonly (readonly [number, Decision])[], elsewhere: Decision, start = 0): readonly Range[] {
  const ranges: Range[] = [{ from: start, to: elsewhere }];
  for (const [number, to] of points.toSorted(([a], [b]) => a - b)) {
    if (ranges.at(-1)?.from === number) ranges.pop();
    ranges.push({ from: number, to }, { from: number + 1, to: elsewhere });
  }
  return ranges;
}

function planAbi(make: Decisions, profile: LinuxSeccomp, abi: Abi): readonly Range[] {
  const fallback = make.returns(actionReturn(profile.defaultAction, profile.defaultErrnoRet));
  const unheardOf = isPermissive(profile.defaultAction) ? fallback : make.returns(errnoReturn(ENOSYS));
  const points = [...rulesByNumber(profile, abi)].map(
    ([number, rules]) => [abi.base + number, decideRules(make, rules, fallback)] as const,
  );
  const special = abi.base + (abi.special ?? Infinity);
  return [
    ...planRun(
      points.filter(([number]) => number < special),
      { start: abi.base, fallback, unheardOf },
    ),
    ...(special === Infinity
      ? []
      : planRun(
          points.filter(([number]) => number >= special),
          { start: special, fallback, unheardOf },
        )),
  ];
}

/** One run of numbers: what the profile names, its default between, and what comes after all it names. */
function planRun(
  points: readonly (readonly [number, Decision])[],
  run: { readonly start: number; readonly fallback: Decision; readonly unheardOf: Decision },
): readonly Range[] {
  const ranges = scatter(points, run.fallback, run.start);
  const last = ranges.at(-1);
  return points.length === 0 || last === undefined
    ? ranges
    : [...ranges.slice(0, -1), { from: last.from, to: run.unheardOf }];
}

function rulesByNumber({ syscalls = [] }: LinuxSeccomp, abi: Abi): ReadonlyMap<number, readonly Rule[]> {
  const numbers = abi.numbers();
  const found = new Map<number, Rule[]>();
  for (const syscall of syscalls) {
    const rules = readRules(syscall, abi);
    for (const number of syscall.names.map((name) => numbers.get(name))) {
      if (number === undefined) continue;
      const known = found.get(number);
      if (known === undefined) found.set(number, [...rules]);
      else known.push(...rules);
    }
  }
  return found;
}

function readRules(syscall: LinuxSyscall, abi: Abi): readonly Rule[] {
  const value = actionReturn(syscall.action, syscall.errnoRet);
  const conditions = (syscall.args ?? []).map((arg) => readCondition(arg, abi));
  const repeats = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  return repeats ? conditions.map((condition) => ({ conditions: [condition], value })) : [{ conditions, value }];
}

function decideRules(make: Decisions, rules: readonly Rule[], fallback: Decision): Decision {
  const unconditional = rules.findIndex(({ conditions }) => conditions.length === 0);
  const reachable = unconditional === -1 ? rules : rules.slice(0, unconditional + 1);
  if (reachable.length > MAX_RULES) {
    const message = `seccomp profile is too large: more than ${String(MAX_RULES)} rules for one system call`;
    throw new RuntimeError('RUNTIME_INVALID_SECCOMP', message);
  }
  const chain = reachable.reduceRight((otherwise, { conditions, value }) => {
    return conditions.reduceRight<Decision>(
      (then, condition) => decideCondition(make, condition, [then, otherwise]),
      make.returns(value),
    );
  }, fallback);
  // With one argument the result is a partition of its values; with several it could be their product.
  const compared = new Set(reachable.flatMap(({ conditions }) => conditions.map(({ index }) => index)));
  return compared.size === 1 && reachable.length <= MAX_SIMPLIFIED ? simplify(make, chain) : chain;
}
