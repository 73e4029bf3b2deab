import { describe, expect, test } from '@jest/globals';

import { allowedActions, ANONYMOUS, compileRules, mayAct, mayActEverywhere, mayDo } from './rules.ts';
import type { Actor } from './rules.ts';

const actor = (account: string, ...groups: readonly string[]): Actor => ({ account, groups });
const alice = actor('alice');

describe('rules', () => {
  test('without any, every account may do everything, and anonymous clients nothing', () => {
    const rules = compileRules({});
    expect(allowedActions(rules, alice, 'team/app')).toEqual(['pull', 'push', 'delete']);
    expect(allowedActions(rules, ANONYMOUS, 'team/app')).toEqual([]);
    expect(mayActEverywhere(rules, alice, 'pull')).toBe(true);
    for (const need of [{ resource: 'catalog' }, { resource: 'registry' }] as const) {
      expect(mayDo(rules, alice, need)).toBe(true);
      expect(mayDo(rules, ANONYMOUS, need)).toBe(false);
    }
  });

  test('no rule is no right', () => {
    expect(allowedActions(compileRules({ rules: [] }), alice, 'app')).toEqual([]);
  });

  const rules = compileRules({
    groups: { team: ['alice', 'bob'] },
    rules: [
      { repositories: ['team/**'], groups: ['team'], actions: ['pull', 'push'] },
      { repositories: ['team/*/public'], accounts: ['*'], actions: ['pull'] },
      { repositories: ['ci/**'], accounts: ['github:repo:acme/**'], actions: ['push'] },
      { repositories: ['open/**'], anonymous: true, actions: ['pull'] },
      { repositories: ['**'], groups: ['issuer:admins'], actions: ['delete'] },
    ],
  });

  test.each([
    [actor('alice'), 'team/app', 'pull,push'],
    [actor('alice'), 'team', ''],
    [actor('alice'), 'teams/app', ''],
    [actor('alicea'), 'team/app', ''],
    [actor('team'), 'team/app', ''],
    [actor('carol'), 'team/app/public', 'pull'],
    [actor('carol'), 'team/a/b/public', ''],
    [actor('spiffe://acme/x/y'), 'team/app/public', 'pull'],
    [actor('carol', 'team'), 'team/app', 'pull,push'],
    [actor('github:repo:acme/app:ref:refs/heads/main'), 'ci/app', 'push'],
    [actor('github:repo:acmes/app'), 'ci/app', ''],
    [actor('carol', 'issuer:admins'), 'x', 'delete'],
    [actor('carol', 'admins'), 'x', ''],
    [actor('carol'), 'open/app', 'pull'],
    [ANONYMOUS, 'open/app', 'pull'],
    [ANONYMOUS, 'team/app/public', ''],
    [actor('__proto__'), 'team/app', ''],
  ])('%j in %s may: %s', (somebody, name, actions) => {
    expect(allowedActions(rules, somebody, name).join(',')).toBe(actions);
  });

  test('every action that is needed must be allowed', () => {
    const need = { resource: 'repository', name: 'team/a/public' } as const;
    expect(mayDo(rules, actor('carol'), { ...need, actions: ['pull'] })).toBe(true);
    expect(mayDo(rules, actor('carol'), { ...need, actions: ['pull', 'push'] })).toBe(false);
    expect(mayActEverywhere(rules, alice, 'pull')).toBe(false);
  });

  test('anonymous clients are let in where there is something for them', () => {
    expect(mayDo(rules, ANONYMOUS, { resource: 'registry' })).toBe(true);
    expect(mayDo(rules, ANONYMOUS, { resource: 'catalog' })).toBe(true);
    const push = compileRules({ rules: [{ repositories: ['in/**'], anonymous: true, actions: ['push'] }] });
    expect(mayDo(push, ANONYMOUS, { resource: 'registry' })).toBe(true);
    expect(mayDo(push, ANONYMOUS, { resource: 'catalog' })).toBe(false);
  });

  test('what everybody may do, accounts may do too', () => {
    const open = compileRules({ rules: [], anonymous: ['pull'] });
    for (const somebody of [ANONYMOUS, alice]) {
      expect(allowedActions(open, somebody, 'any')).toEqual(['pull']);
      expect(mayActEverywhere(open, somebody, 'pull')).toBe(true);
    }
  });

  test('a pattern made to be slow is not', () => {
    const slow = compileRules({
      rules: [{ repositories: [`${'**a'.repeat(100)}b`], accounts: ['*'], actions: ['pull'] }],
    });
    const begun = performance.now();
    expect(mayAct(slow, alice, { action: 'pull', name: 'a'.repeat(255) })).toBe(false);
    expect(performance.now() - begun).toBeLessThan(500);
  });
});
