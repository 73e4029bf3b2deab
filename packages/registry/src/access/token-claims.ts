import { isAccountName } from './htpasswd.ts';
import type { Actor } from './rules.ts';
import type { Scope } from './scopes.ts';

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string');

/** Reads an `access` claim; undefined when it isn't one. */
export function readScopes(claim: unknown): readonly Scope[] | undefined {
  if (!Array.isArray(claim)) return undefined;
  const scopes = claim.map((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return undefined;
    const { type, name, actions } = entry as Readonly<Record<string, unknown>>;
    if (typeof type !== 'string' || typeof name !== 'string' || !isTexts(actions)) return undefined;
    return { type, name, actions };
  });
  return scopes.every((scope) => scope !== undefined) ? scopes : undefined;
}

/** Who a token is for: an empty account is anonymous. */
export function readActor(account: string | undefined, groups: unknown): Actor | undefined {
  if (groups !== undefined && !isTexts(groups)) return undefined;
  if (account === undefined || account === '') return { account: undefined, groups: [] };
  return isAccountName(account) ? { account, groups: groups ?? [] } : undefined;
}

/** Groups as issuers write them: a text, or a list of them; nothing else is one. */
export function readGroups(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return [claim];
  return isTexts(claim) ? claim : [];
}
