import { describe, expect, it } from '@jest/globals';

import type { DeviceRule } from '../limits.ts';
import { normalizeDeviceRules, type NormalRules } from './rules.ts';

/** `+c 1:3 rw` allows, `-` denies. */
const parse = (text: string): DeviceRule => {
  const [, sign, type, major, minor, access = ''] = /^([+-])([abc]) (\S+):(\S+) (\w+)$/.exec(text) ?? [];
  const number = (word: string | undefined): number | '*' => (word === '*' ? '*' : Number(word));
  return { type: type as 'a', major: number(major), minor: number(minor), access, allow: sign === '+' };
};
const format = ({ defaultAllow, rules }: NormalRules): string[] => [
  defaultAllow ? '+' : '-',
  ...rules.map(
    ({ type, major, minor, access, allow }) =>
      `${allow ? '+' : '-'}${type} ${String(major)}:${String(minor)} ${access}`,
  ),
];
const normalize = (...rules: string[]): string[] => format(normalizeDeviceRules(rules.map(parse)));

describe('normalizeDeviceRules', () => {
  it('allows everything without rules', () => {
    expect(normalize()).toEqual(['+']);
  });

  it('forgets what came before a rule about everything', () => {
    expect(normalize('+c 1:3 r', '-a *:* rwm', '+c 1:5 mwr')).toEqual(['-', '+c 1:5 rwm']);
  });

  it('splits a rule about both types that is not about everything', () => {
    expect(normalize('-a *:* m')).toEqual(['+', '-b *:* m', '-c *:* m']);
  });

  it('drops rules that repeat the default, and those that later ones cover', () => {
    expect(normalize('-a *:* rwm', '-c 1:3 rwm')).toEqual(['-']);
    expect(normalize('-a *:* rwm', '+c 1:3 rw', '-c 1:3 w')).toEqual(['-', '+c 1:3 r']);
    expect(normalize('-a *:* rwm', '+c 1:3 rw', '+c 1:* rwm')).toEqual(['-', '+c 1:* rwm']);
  });

  it('makes rules about one device one', () => {
    expect(normalize('-a *:* rwm', '+c 1:3 r', '+c 1:3 w')).toEqual(['-', '+c 1:3 rw']);
  });

  it('keeps order where it matters', () => {
    expect(normalize('-a *:* rwm', '+c 1:* rw', '-c 1:3 r')).toEqual(['-', '+c 1:* rw', '-c 1:3 r']);
    expect(normalize('-a *:* rwm', '+c 1:* r', '-c 1:3 r', '+c 1:* w')).toEqual([
      '-',
      '+c 1:* r',
      '-c 1:3 r',
      '+c 1:* w',
    ]);
  });

  it.each(['+c 1:3 x', '+c 99999:0 r', '+c 1:-1 r'])('refuses %s', (rule) => {
    expect(() => normalize(rule)).toThrow(expect.objectContaining({ code: 'CGROUP_LIMIT_INVALID' }));
  });
});
