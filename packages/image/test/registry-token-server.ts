import { randomUUID, sign, X509Certificate } from 'node:crypto';

import type { TestCertificate } from './certificates.ts';
import { sendError, sendJson, startServer, type Recorded, type TestServer } from './registry-server.ts';

export interface TokenServerOptions {
  /** Signs the tokens; its authority's file is what the registry trusts. */
  readonly signer: TestCertificate;
  readonly service: string;
  readonly issuer: string;
  /** By password. */
  readonly users: Readonly<Record<string, string>>;
  /** By refresh token: the user. */
  readonly refreshTokens?: Readonly<Record<string, string>> | undefined;
  /** What a user (`undefined`: nobody) may do with a repository. */
  readonly allow: (user: string | undefined, repository: string) => readonly string[];
  /** Default: 300. */
  readonly lifeSeconds?: number | undefined;
}

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as the registry checks it: signed with ES256, the certificate in its header. */
const signToken = (options: TokenServerOptions, user: string, access: readonly Access[]): string => {
  const { signer, service, issuer, lifeSeconds = 300 } = options;
  const x5c = [new X509Certificate(signer.cert).raw.toString('base64')];
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    sub: user,
    aud: service,
    exp: now + lifeSeconds,
    nbf: now - 5,
    iat: now,
    jti: randomUUID(),
    access,
  };
  const signed = `${base64url({ typ: 'JWT', alg: 'ES256', x5c })}.${base64url(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: signer.key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
};

/** `repository:team/app:pull,push`, less what the user may not. */
const grant = (scope: string, allow: (repository: string) => readonly string[]): Access => {
  const [type = '', name = '', actions = ''] = scope.split(':');
  return { type, name, actions: actions.split(',').filter((action) => allow(name).includes(action)) };
};

const userOf = ({ headers, body }: Recorded, options: TokenServerOptions): string | undefined | false => {
  const form = new URLSearchParams(body.toString());
  const refresh = form.get('refresh_token');
  if (refresh !== null) return options.refreshTokens?.[refresh] ?? false;
  if (headers.authorization === undefined) return undefined;
  const [user = '', password] = Buffer.from(headers.authorization.slice('Basic '.length), 'base64')
    .toString()
    .split(':');
  return options.users[user] === password ? user : false;
};

/** A token server in the manner of Docker Hub's. */
export const startTokenServer = async (options: TokenServerOptions): Promise<TestServer> =>
  await startServer((request, response) => {
    const form = new URLSearchParams(request.body.toString());
    const service = request.query.get('service') ?? form.get('service');
    const user = userOf(request, options);
    if (user === false || service !== options.service) {
      sendError(response, 401, ['UNAUTHORIZED', 'incorrect username or password']);
      return;
    }
    const scopes = [...request.query.getAll('scope'), ...(form.get('scope')?.split(' ') ?? [])];
    const access = scopes.map((scope) => grant(scope, (name) => options.allow(user, name)));
    const token = signToken(options, user ?? '', access);
    sendJson(response, 200, { token, expires_in: options.lifeSeconds ?? 300, issued_at: new Date().toISOString() });
  });
