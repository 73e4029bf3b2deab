import { compilePatterns } from '../patterns.ts';
import type { Action, Need } from './access.ts';
import type { AccessOptions, AccessRule } from './options.ts';

/** Somebody, as rules see them. */
export interface Actor {
  /** undefined: anonymous */
  readonly account: string | undefined;
  readonly groups: readonly string[];
}

export const ANONYMOUS: Actor = { account: undefined, groups: [] };

interface CompiledRule {
  readonly isFor: (actor: Actor) => boolean;
  readonly isAbout: (name: string) => boolean;
  readonly everywhere: boolean;
  readonly actions: ReadonlySet<Action>;
}

/** Rules that are ready to be asked. */
export type Rules = readonly CompiledRule[];

const ALL: readonly Action[] = ['pull', 'push', 'delete'];
const EVERY_ACCOUNT: AccessRule = { repositories: ['**'], accounts: ['*'], actions: ALL };

/** Makes rules of what was configured; without `rules`, every account may do everything. */
export function compileRules(options: Pick<AccessOptions, 'rules' | 'groups' | 'anonymous'>): Rules {
  const { rules = [EVERY_ACCOUNT], groups = {}, anonymous = [] } = options;
  const members = new Map(Object.entries(groups).map(([group, accounts]) => [group, new Set(accounts)]));
  const compiled = rules.map((rule) => compileRule(rule, members));
  if (anonymous.length === 0) return compiled;
  const everybody = { isFor: () => true, isAbout: () => true, everywhere: true, actions: new Set(anonymous) };
  return [...compiled, everybody];
}

function compileRule(rule: AccessRule, members: ReadonlyMap<string, ReadonlySet<string>>): CompiledRule {
  const { accounts = [], groups = [], anonymous = false } = rule;
  const anyAccount = anonymous || accounts.includes('*');
  const isAccount = compilePatterns(accounts);
  const isGroup = compilePatterns(groups);
  const configured = [...members].filter(([group]) => isGroup(group)).map(([, accountsOf]) => accountsOf);
  const isFor = ({ account, groups: own }: Actor): boolean => {
    if (account === undefined) return anonymous;
    return (
      anyAccount ||
      isAccount(account) ||
      configured.some((accountsOf) => accountsOf.has(account)) ||
      own.some((group) => isGroup(group))
    );
  };
  return {
    isFor,
    isAbout: compilePatterns(rule.repositories),
    everywhere: rule.repositories.includes('**'),
    actions: new Set(rule.actions),
  };
}

/** Whether rules let somebody do an action in a repository. */
export const mayAct = (rules: Rules, actor: Actor, { action, name }: { action: Action; name: string }): boolean =>
  rules.some((rule) => rule.actions.has(action) && rule.isAbout(name) && rule.isFor(actor));

/** Whether somebody may do an action in every repository, by one rule. */
export const mayActEverywhere = (rules: Rules, actor: Actor, action: Action): boolean =>
  rules.some((rule) => rule.everywhere && rule.actions.has(action) && rule.isFor(actor));

/** The actions that somebody may do in a repository. */
export const allowedActions = (rules: Rules, actor: Actor, name: string): readonly Action[] =>
  ALL.filter((action) => mayAct(rules, actor, { action, name }));

/**
 * Whether rules let somebody do what a request needs. Every account may list repositories, of which it sees those that it may
 * pull from; anonymous clients may where there is anything for them at all.
 */
export function mayDo(rules: Rules, actor: Actor, need: Need): boolean {
  switch (need.resource) {
    case 'repository':
      return need.actions.every((action) => mayAct(rules, actor, { action, name: need.name }));
    case 'catalog':
      return actor.account !== undefined || rules.some((rule) => rule.isFor(actor) && rule.actions.has('pull'));
    case 'registry':
      return actor.account !== undefined || rules.some((rule) => rule.isFor(actor) && rule.actions.size > 0);
  }
}
