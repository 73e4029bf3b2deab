import type { IncomingMessage } from 'node:http';

import { RegistryError } from '../errors.ts';
import { sendJson } from '../server/answer.ts';
import type { Endpoint } from '../server/endpoint.ts';
import type { Authenticator } from './authenticator.ts';
import { BASIC } from './challenge.ts';
import type { Refused } from './jwt.ts';
import type { OwnTokens } from './own-tokens.ts';
import type { Passwords } from './passwords.ts';
import { mayDo } from './rules.ts';
import type { Actor, Rules } from './rules.ts';
import { formatScope, narrow, parseScopes } from './scopes.ts';
import { readForm } from './token-form.ts';

export interface TokenServerOptions {
  readonly authenticator: Authenticator;
  readonly tokens: OwnTokens;
  readonly passwords: Passwords | undefined;
  readonly rules: Rules;
}

/** What a client asks for, by GET or by POST. */
interface Asked {
  readonly actor: Actor;
  readonly scopes: readonly string[];
  /** Whether it wants a refresh token. */
  readonly offline: boolean;
  /** One that it has already. */
  readonly refreshToken: string | undefined;
}

/**
 * The token server: `GET /token` as Docker has it, and `POST /token` as OAuth2 has it.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export const tokenEndpoint = (options: TokenServerOptions): Endpoint => ({
  path: '/token',
  needs: [],
  handle: async (exchange) => {
    const { request } = exchange;
    if (request.method !== 'GET' && request.method !== 'POST') {
      throw new RegistryError('UNSUPPORTED', 'GET or POST', { headers: { Allow: 'GET, POST' } });
    }
    const post = request.method === 'POST';
    const asked = post ? await readPost(options, exchange) : await readGet(options, request);
    sendJson(exchange, await answer(options, asked, post), { 'Cache-Control': 'no-store' });
  },
});

async function answer(options: TokenServerOptions, asked: Asked, oauth: boolean): Promise<object> {
  const { tokens, rules } = options;
  const { actor } = asked;
  if (!mayDo(rules, actor, { resource: 'registry' })) throw refuse('authentication required');
  const scopes = narrow(parseScopes(asked.scopes), rules, actor);
  const token = await tokens.issue({ actor, scopes });
  const refreshToken = asked.refreshToken ?? (asked.offline ? await makeRefreshToken(options, actor) : undefined);
  return {
    ...(oauth ? { scope: scopes.map((scope) => formatScope(scope)).join(' ') } : { token }),
    access_token: token,
    expires_in: tokens.lifetimeSeconds,
    issued_at: new Date().toISOString(),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  };
}

/**
 * Only a password is something to stand for later; tokens of issuers and certificates end by themselves. Docker throws its
 * password away for one, so it gets none that would end with this process.
 */
async function makeRefreshToken(
  { tokens, passwords }: TokenServerOptions,
  { account }: Actor,
): Promise<string | undefined> {
  const fingerprint = account === undefined || !tokens.lasting ? undefined : passwords?.fingerprint(account);
  return account === undefined || fingerprint === undefined ? undefined : tokens.issueRefresh({ account, fingerprint });
}

async function readGet({ authenticator, tokens }: TokenServerOptions, request: IncomingMessage): Promise<Asked> {
  const query = new URLSearchParams(request.url?.split('?')[1] ?? '');
  checkService(query, tokens);
  const caller = await authenticator.identify(request);
  if ('refused' in caller) throw refuse(caller.refused);
  if (caller.scopes !== undefined) throw refuse('a token is not given for a token');
  return {
    actor: caller.actor,
    scopes: query.getAll('scope'),
    offline: query.get('offline_token') === 'true',
    refreshToken: undefined,
  };
}

async function readPost(
  options: TokenServerOptions,
  { request, signal }: { readonly request: IncomingMessage; readonly signal: AbortSignal },
): Promise<Asked> {
  const form = await readForm(request, signal);
  checkService(form, options.tokens);
  const grant = form.get('grant_type');
  const scopes = form.getAll('scope');
  const offline = form.get('access_type') === 'offline';
  if (grant === 'password') {
    const found = await options.authenticator.verifyPassword(form.get('username') ?? '', form.get('password') ?? '');
    return { actor: known(found), scopes, offline, refreshToken: undefined };
  }
  if (grant === 'refresh_token') {
    const refreshToken = form.get('refresh_token') ?? '';
    return { actor: await refresh(options, refreshToken), scopes, offline, refreshToken };
  }
  throw new RegistryError('UNSUPPORTED', 'grant_type is password or refresh_token', { status: 400 });
}

/** A refresh token is worth what the password is that it was given for: with another one, or none, it is worth nothing. */
async function refresh({ tokens, passwords }: TokenServerOptions, token: string): Promise<Actor> {
  const grant = await tokens.verifyRefresh(token);
  if ('refused' in grant) throw refuse(grant.refused);
  if (passwords?.fingerprint(grant.account) !== grant.fingerprint) throw refuse('the password has changed since');
  return { account: grant.account, groups: [] };
}

function known(found: Actor | Refused): Actor {
  if ('refused' in found) throw refuse(found.refused);
  return found;
}

function checkService(parameters: URLSearchParams, { service }: OwnTokens): void {
  const asked = parameters.get('service') ?? service;
  if (asked === service) return;
  throw new RegistryError('UNSUPPORTED', `this token server is for the service ${service}`, { status: 400 });
}

const refuse = (why: string): RegistryError =>
  new RegistryError('UNAUTHORIZED', why, { headers: { 'WWW-Authenticate': BASIC } });
