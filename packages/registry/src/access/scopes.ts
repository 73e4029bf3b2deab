import { isName } from '../names.ts';
import type { Action, Need } from './access.ts';
import { allowedActions, mayDo } from './rules.ts';
import type { Actor, Rules } from './rules.ts';

/** What a token is about: an entry of its `access` claim, and what clients ask for as `type:name:action,action`. */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** More in one token would make it longer than headers may be. */
export const SCOPES_MAX = 50;

/**
 * Reads scopes: several in one text with spaces between, and several texts. A name may have colons, so it lies between the
 * first and the last; what isn't a scope is left out.
 *
 * @see https://distribution.github.io/distribution/spec/auth/scope/
 */
export function parseScopes(texts: readonly string[]): readonly Scope[] {
  const scopes = texts.flatMap((text) => text.split(' ')).filter((text) => text !== '');
  return scopes.slice(0, SCOPES_MAX).flatMap((text) => {
    const first = text.indexOf(':');
    const last = text.lastIndexOf(':');
    if (first < 0 || last <= first) return [];
    // `repository(plugin)`: a class that says nothing about what one may do.
    const type = text.slice(0, first).replace(/\([a-z0-9]*\)$/, '');
    return [{ type, name: text.slice(first + 1, last), actions: text.slice(last + 1).split(',') }];
  });
}

export const formatScope = ({ type, name, actions }: Scope): string => `${type}:${name}:${actions.join(',')}`;

const CATALOG: Scope = { type: 'registry', name: 'catalog', actions: ['*'] };

/** What a client would have to ask a token server for. */
export const scopesOf = (needs: readonly Need[]): readonly Scope[] =>
  needs.flatMap((need): readonly Scope[] => {
    if (need.resource === 'repository') return [{ type: 'repository', name: need.name, actions: need.actions }];
    return need.resource === 'catalog' ? [CATALOG] : [];
  });

/** The part of what a client asks for that rules let it do: what is not allowed is left out, and not an error. */
export function narrow(scopes: readonly Scope[], rules: Rules, actor: Actor): readonly Scope[] {
  const byName = new Map<string, Set<Action>>();
  let catalog = false;
  for (const { type, name, actions } of scopes) {
    if (type === 'registry' && name === 'catalog') catalog ||= mayDo(rules, actor, { resource: 'catalog' });
    if (type !== 'repository' || !isName(name)) continue;
    const granted = byName.get(name) ?? new Set();
    const wanted = allowedActions(rules, actor, name).filter((action) =>
      [action, '*'].some((w) => actions.includes(w)),
    );
    byName.set(name, new Set([...granted, ...wanted]));
  }
  const repositories = [...byName].flatMap(([name, actions]): readonly Scope[] =>
    actions.size === 0 ? [] : [{ type: 'repository', name, actions: [...actions] }],
  );
  return catalog ? [...repositories, CATALOG] : repositories;
}

/** Whether a token grants what a request needs. */
export const isGranted = (scopes: readonly Scope[], need: Need): boolean =>
  scopesOf([need]).every((wanted) =>
    wanted.actions.every((action) =>
      scopes.some(
        ({ type, name, actions }) =>
          type === wanted.type && name === wanted.name && (actions.includes(action) || actions.includes('*')),
      ),
    ),
  );
