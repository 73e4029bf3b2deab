import type { IncomingMessage } from 'node:http';

import { RegistryError } from '../errors.ts';
import type { AccessControl, Identity, Need } from './access.ts';
import type { Authenticator, Caller } from './authenticator.ts';
import { BASIC, formatBearer, realmOf } from './challenge.ts';
import type { BearerChallenge } from './challenge.ts';
import { mayAct, mayActEverywhere, mayDo } from './rules.ts';
import type { Rules } from './rules.ts';
import { formatScope, isGranted, scopesOf } from './scopes.ts';

export interface ControlOptions {
  readonly authenticator: Authenticator;
  /** undefined: tokens say it all. */
  readonly rules: Rules | undefined;
  /** Where tokens come from; undefined: there are none. */
  readonly tokens: { readonly realm: string | undefined; readonly service: string } | undefined;
}

/** Why a request may not go on. */
type Verdict = 'fine' | 'unknown' | 'insufficient' | 'denied';

/** Decides about requests to the registry and to what is beside it. */
export const accessControl = (options: ControlOptions): AccessControl => ({
  authorize: async (request, needs) => {
    const caller = await options.authenticator.identify(request);
    if ('refused' in caller) {
      const bearer = /^bearer /i.test(request.headers.authorization ?? '');
      throw unauthorized(options, { request, needs, why: caller.refused, error: bearer ? 'invalid_token' : undefined });
    }
    for (const need of needs) {
      const verdict = judge(options, { caller, need, request });
      if (verdict !== 'fine' && !isSpared(options, need, verdict)) throw refusal(options, verdict, { request, needs });
    }
    return identityOf(options.rules, caller, needs);
  },
});

const isApi = ({ url = '' }: IncomingMessage): boolean => url.startsWith('/v2/') || /^\/v2(?:$|\?)/.test(url);

interface Question {
  readonly caller: Caller;
  readonly need: Need;
  readonly request: IncomingMessage;
}

function judge({ rules, tokens }: ControlOptions, { caller, need, request }: Question): Verdict {
  const { actor, scopes } = caller;
  const withoutAnything = actor.account === undefined && scopes === undefined;
  // Clients learn from being turned away that they could be somebody, Docker from `/v2/` alone, and a list would only be
  // shorter. With an anonymous token they are let through.
  if (withoutAnything && tokens !== undefined && need.resource !== 'repository' && isApi(request)) return 'unknown';
  if (rules === undefined && withoutAnything) return 'unknown';
  if (rules !== undefined && !mayDo(rules, actor, need)) return actor.account === undefined ? 'unknown' : 'denied';
  return scopes === undefined || isGranted(scopes, need) ? 'fine' : 'insufficient';
}

/**
 * Whether a request goes on without something that it can do without. It doesn't where another token would have it, which only
 * rules can tell: who asks for that one comes back with it, and not in circles.
 */
const isSpared = ({ rules }: ControlOptions, need: Need, verdict: Verdict): boolean =>
  need.resource === 'repository' && need.optional === true && (rules === undefined || verdict !== 'insufficient');

interface Refusal {
  readonly request: IncomingMessage;
  readonly needs: readonly Need[];
}

const detailOf = (needs: readonly Need[]): unknown =>
  scopesOf(needs).map(({ type, name, actions }) => ({ type, name, actions }));

function refusal(options: ControlOptions, verdict: Exclude<Verdict, 'fine'>, at: Refusal): RegistryError {
  if (verdict === 'denied') {
    return new RegistryError('DENIED', 'this account may not do that', { detail: detailOf(at.needs) });
  }
  const error = verdict === 'insufficient' ? 'insufficient_scope' : undefined;
  const why = verdict === 'insufficient' ? 'the token is not for that' : 'authentication required';
  return unauthorized(options, { ...at, why, error });
}

interface Unauthorized extends Refusal {
  readonly why: string;
  readonly error: BearerChallenge['error'];
}

function unauthorized({ authenticator, tokens }: ControlOptions, at: Unauthorized): RegistryError {
  const { request, needs, why, error } = at;
  const detail = detailOf(needs);
  if (tokens !== undefined && isApi(request)) {
    const { realm = realmOf(request), service } = tokens;
    const scope = scopesOf(needs)
      .map((wanted) => formatScope(wanted))
      .join(' ');
    const challenge = formatBearer({ realm, service, scope, error });
    return new RegistryError('UNAUTHORIZED', why, { detail, headers: { 'WWW-Authenticate': challenge } });
  }
  if (authenticator.takesPasswords) {
    return new RegistryError('UNAUTHORIZED', why, { detail, headers: { 'WWW-Authenticate': BASIC } });
  }
  // There is nothing to send that would help: no 401 without a challenge.
  return new RegistryError('DENIED', `${why}: connect with a client certificate`, { detail });
}

function identityOf(rules: Rules | undefined, { actor, scopes }: Caller, needs: readonly Need[]): Identity {
  const { account } = actor;
  // Who may list repositories sees those that the account may pull from: a token can't name them all.
  const listing = needs.some(({ resource }) => resource === 'catalog');
  if (scopes === undefined || listing) {
    if (rules === undefined) return { account, mayPull: () => true, mayPullAll: true };
    return {
      account,
      mayPull: (name) => mayAct(rules, actor, { action: 'pull', name }),
      mayPullAll: mayActEverywhere(rules, actor, 'pull'),
    };
  }
  const mayPull = (name: string): boolean => {
    const granted = isGranted(scopes, { resource: 'repository', name, actions: ['pull'] });
    return granted && (rules === undefined || mayAct(rules, actor, { action: 'pull', name }));
  };
  return { account, mayPull, mayPullAll: false };
}
