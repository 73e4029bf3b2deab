import { asInteger, asString, member, parseDocument, type Node } from '../document.ts';
import { ImageError, isImageError, quote } from '../errors.ts';
import { readBody } from './body.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './credentials.ts';
import { answerFailure, connectionFailure, header, type Answer } from './failure.ts';
import { isLoopback } from './host-name.ts';
import type { WireRequest } from './transport.ts';

/** What to ask of a token server. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  /** `undefined`: anonymously. */
  readonly credential: Credential | undefined;
  readonly signal: AbortSignal;
}

export interface Token {
  readonly value: string;
  /** In the clock of `performance.now()`, which nobody sets back. */
  readonly expiresMs: number;
}

/** Registries whose token server is known to be at another host of the same owner. */
const KNOWN_REALMS: Readonly<Record<string, string>> = {
  'https://registry-1.docker.io': 'https://auth.docker.io',
  'https://registry.gitlab.com': 'https://gitlab.com',
  'https://registry.digitalocean.com': 'https://api.digitalocean.com',
};

export interface RealmRules {
  /** Of the registry. */
  readonly origin: string;
  /** The registry as people name it. */
  readonly domain: string;
  readonly tokenHosts: readonly string[];
  /** Whether HTTP is configured for the token server's host. */
  readonly plainHttp: boolean;
}

/**
 * Whether the realm may be given the registry's credential: its host is the registry's own, with scheme and port, or
 * one that the configuration names.
 */
export const isTrustedRealm = (realm: URL, { origin, tokenHosts }: RealmRules): boolean =>
  realm.origin === origin ||
  KNOWN_REALMS[origin] === realm.origin ||
  tokenHosts.some((host) => URL.parse(`${realm.protocol}//${host}`)?.host === realm.host);

/**
 * The URL of the token server that a challenge names.
 *
 * @throws {@link ImageError} `REGISTRY_UNAUTHORIZED`: it is no URL, or over plain HTTP where nobody has said that this
 *   is fine: tokens open doors, and are not sent in the clear
 */
export const realmOf = (challenge: Challenge, rules: RealmRules): URL => {
  const text = challenge.parameters.get('realm') ?? '';
  const realm = URL.parse(text);
  const refuse = (why: string): ImageError =>
    new ImageError('REGISTRY_UNAUTHORIZED', `cannot log in to ${rules.domain}: its token server ${quote(text)} ${why}`);
  if (realm === null || !['http:', 'https:'].includes(realm.protocol)) throw refuse('is no http or https URL');
  realm.username = realm.password = realm.hash = '';
  if (realm.protocol === 'https:' || realm.origin === rules.origin) return realm;
  const registry = new URL(rules.origin);
  const local = isLoopback(realm.hostname) && isLoopback(registry.hostname);
  if (registry.protocol === 'http:' && (local || rules.plainHttp)) return realm;
  throw refuse('is reached over plain HTTP');
};

/** @throws {@link ImageError} `REGISTRY_UNAUTHORIZED`: names the realm, and what to configure */
export const refuseRealm = (realm: URL, { domain }: RealmRules): ImageError =>
  new ImageError(
    'REGISTRY_UNAUTHORIZED',
    `credential for ${domain} is not sent to its token server ${quote(realm.origin)}, which is another host: if it belongs to the registry, configure tokenHosts: [${quote(realm.host)}] for ${domain}`,
  );

const MAX_BYTES = 1024 ** 2;
const DEFAULT_LIFE_SECONDS = 60;
/** A token is not used in its last seconds, in which it might expire on its way. */
const MARGIN_SECONDS = 10;

const get = ({ realm, service, scopes, credential }: TokenRequest): [URL, Omit<WireRequest, 'signal'>] => {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.append('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credential === undefined || !('username' in credential)) return [url, { method: 'GET', headers: {} }];
  url.searchParams.append('account', credential.username);
  return [url, { method: 'GET', headers: { authorization: basic(credential) } }];
};

const post = ({ realm, service, scopes }: TokenRequest, refreshToken: string): [URL, Omit<WireRequest, 'signal'>] => {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'tsc' });
  if (service !== undefined) form.set('service', service);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return [realm, { method: 'POST', headers, body: Buffer.from(form.toString()) }];
};

export const basic = ({ username, password }: { readonly username: string; readonly password: string }): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** Everything by which a message could give the credential away. */
export const secretsOf = (credential: Credential | undefined): readonly string[] => {
  if (credential === undefined) return [];
  if ('identityToken' in credential) return [credential.identityToken];
  if ('registryToken' in credential) return [credential.registryToken];
  return [credential.password, basic(credential).slice('Basic '.length)];
};

/** How a token server is spoken with; without credentials of its own. */
export type SendToken = (url: URL, request: WireRequest) => Promise<Answer>;

/**
 * Gets a token: with GET, or for an identity token with the POST of OAuth2.
 *
 * The request's own origin is where the credential goes; redirects are refused, they could lead it elsewhere.
 *
 * @throws {@link ImageError} `REGISTRY_UNAUTHORIZED`, `REGISTRY_UNREACHABLE`, `REGISTRY_FAILED`, `REGISTRY_THROTTLED`
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export const fetchToken = async (send: SendToken, request: TokenRequest): Promise<Token> => {
  const { credential, signal } = request;
  const [url, wire] =
    credential !== undefined && 'identityToken' in credential ? post(request, credential.identityToken) : get(request);
  const answer = { ...(await send(url, { ...wire, signal })), secrets: secretsOf(credential) };
  if (answer.status !== 200) throw await answerFailure(`cannot get a token of ${url.host}`, answer, signal);
  try {
    return readToken(await readBody(answer.body, { maxBytes: MAX_BYTES, signal }), header(answer, 'date'));
  } catch (error) {
    signal.throwIfAborted();
    if (!isImageError(error)) throw connectionFailure(url.host, error);
    throw new ImageError('REGISTRY_FAILED', `cannot get a token of ${url.host}: ${error.message}`, { path: url.host });
  }
};

const nonEmpty = (node: Node | undefined): string | undefined => {
  const text = node === undefined ? '' : asString(node);
  return text === '' ? undefined : text;
};

/** How old the token was when it was sent, by the clock of the server alone: ours may be wrong. */
const ageSeconds = (issuedAt: string | undefined, date: string | undefined): number => {
  const age = (Date.parse(date ?? '') - Date.parse(issuedAt ?? '')) / 1000;
  return Number.isNaN(age) ? 0 : Math.max(0, age);
};

const readToken = (bytes: Buffer, date: string | undefined): Token => {
  const node = parseDocument(bytes, 'token', MAX_BYTES);
  const value = nonEmpty(member(node, 'token')) ?? nonEmpty(member(node, 'access_token'));
  if (value === undefined || !/^[\x21-\x7e]+$/.test(value)) throw new ImageError('REGISTRY_FAILED', 'it sent none');
  const lifeNode = member(node, 'expires_in');
  // The specification's least life; servers that say 0 or less mean it, not us.
  const life = Math.max(DEFAULT_LIFE_SECONDS, lifeNode === undefined ? 0 : asInteger(lifeNode));
  const left = life - ageSeconds(nonEmpty(member(node, 'issued_at')), date) - MARGIN_SECONDS;
  return { value, expiresMs: performance.now() + left * 1000 };
};
