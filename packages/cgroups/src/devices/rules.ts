import { checkInteger, invalidLimit } from '../limit-value.ts';
import type { DeviceRule } from '../limits.ts';

/** A rule about one type of device, with its access as a set. */
export interface NormalRule {
  readonly type: 'b' | 'c';
  readonly major: number | '*';
  readonly minor: number | '*';
  /** A subset of `rwm`, in this order, not empty. */
  readonly access: string;
  readonly allow: boolean;
}

/** Rules brought to a form in which each one matters: the last match decides, and where none matches the default. */
export interface NormalRules {
  readonly defaultAllow: boolean;
  readonly rules: readonly NormalRule[];
}

const LETTERS = ['r', 'w', 'm'] as const;

/** The largest major and minor the kernel's device numbers have room for. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/**
 * Rewrites rules so that those without effect are gone: the ones before a rule about everything, the ones that later
 * rules cover, and the ones that say what the default says already. Pure.
 *
 * @throws CgroupError `CGROUP_LIMIT_INVALID`: a number, type or access is none
 */
export function normalizeDeviceRules(rules: readonly DeviceRule[]): NormalRules {
  let normal: NormalRules = { defaultAllow: true, rules: [] };
  for (const rule of rules) {
    const access = checkRule(rule);
    if (rule.type === 'a' && access === 'rwm' && rule.major === '*' && rule.minor === '*') {
      normal = { defaultAllow: rule.allow, rules: [] };
      continue;
    }
    for (const type of rule.type === 'a' ? (['b', 'c'] as const) : [rule.type]) {
      const { major, minor, allow } = rule;
      normal = { ...normal, rules: append(normal, { type, major, minor, access, allow }) };
    }
  }
  return normal;
}

function append({ defaultAllow, rules }: NormalRules, rule: NormalRule): readonly NormalRule[] {
  const remaining = rules.flatMap((earlier) => (covers(rule, earlier) ? without(earlier, rule.access) : [earlier]));
  const contradicted = (one: NormalRule): boolean =>
    remaining.some((earlier) => earlier.allow !== one.allow && overlaps(earlier, one));
  if (rule.allow === defaultAllow && !contradicted(rule)) return remaining;
  // The kernel wants all of a request's access from one rule, so rules about the same device had better be one.
  const isTwin = (earlier: NormalRule): boolean => earlier.allow === rule.allow && isSame(earlier, rule);
  const merged = {
    ...rule,
    access: remaining.filter(isTwin).reduce((all, { access }) => union(all, access), rule.access),
  };
  if (contradicted(merged)) return [...remaining, rule];
  return [...remaining.filter((earlier) => !isTwin(earlier)), merged];
}

const without = (rule: NormalRule, access: string): readonly NormalRule[] => {
  const rest = LETTERS.filter((letter) => rule.access.includes(letter) && !access.includes(letter)).join('');
  return rest === '' ? [] : [{ ...rule, access: rest }];
};

const union = (one: string, other: string): string =>
  LETTERS.filter((letter) => one.includes(letter) || other.includes(letter)).join('');

const covers = (wide: NormalRule, narrow: NormalRule): boolean =>
  wide.type === narrow.type &&
  (wide.major === '*' || wide.major === narrow.major) &&
  (wide.minor === '*' || wide.minor === narrow.minor);

const isSame = (one: NormalRule, other: NormalRule): boolean => covers(one, other) && covers(other, one);

const overlaps = (one: NormalRule, other: NormalRule): boolean =>
  one.type === other.type &&
  (one.major === '*' || other.major === '*' || one.major === other.major) &&
  (one.minor === '*' || other.minor === '*' || one.minor === other.minor) &&
  LETTERS.some((letter) => one.access.includes(letter) && other.access.includes(letter));

/** Checks a rule and puts its access in order. */
function checkRule({ type, major, minor, access }: DeviceRule): string {
  if (!['a', 'b', 'c'].includes(type)) throw invalidLimit('devices.type', type, "'a', 'b' or 'c'");
  if (!/^[rwm]+$/.test(access)) throw invalidLimit('devices.access', access, "some of 'rwm'");
  if (major !== '*') checkInteger('devices.major', major, { min: 0, max: MAX_MAJOR });
  if (minor !== '*') checkInteger('devices.minor', minor, { min: 0, max: MAX_MINOR });
  return union(access, '');
}
