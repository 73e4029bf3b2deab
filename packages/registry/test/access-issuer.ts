import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { exportJWK, SignJWT } from 'jose';
import type { JWK } from 'jose';

interface Pair {
  readonly id: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** An OpenID Connect issuer on loopback. */
export class TestIssuer implements AsyncDisposable {
  readonly url: string;
  /** What it says of itself; to be changed by tests. */
  claimed: string;
  jwksUrl: string;
  away = false;
  /** How often it was asked for its keys. */
  asked = 0;
  #pairs: readonly Pair[] = [];
  readonly #server: ReturnType<typeof createServer>;

  static async open(): Promise<TestIssuer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TestIssuer(server);
  }

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/realm`;
    this.claimed = this.url;
    this.jwksUrl = `${this.url}/keys`;
    this.rotate('RS256');
    server.on('request', (request, response) => {
      void this.#answer(request.url ?? '').then((document) => {
        response.statusCode = this.away ? 500 : 200;
        response.end(JSON.stringify(document));
      });
    });
  }

  async #answer(path: string): Promise<unknown> {
    if (path === '/realm/.well-known/openid-configuration') return { issuer: this.claimed, jwks_uri: this.jwksUrl };
    this.asked += 1;
    const keys = this.#pairs.map(async ({ id, alg, publicKey }): Promise<JWK> => ({
      ...(await exportJWK(publicKey)),
      kid: id,
      alg,
      use: 'sig',
    }));
    return { keys: await Promise.all(keys) };
  }

  /** Has a new key, and none of the old ones. */
  rotate(alg: 'RS256' | 'ES256'): void {
    const pair =
      alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    this.#pairs = [{ id: `key-${String(Math.random())}`, alg, ...pair }];
  }

  sign(claims: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const [pair] = this.#pairs;
    if (pair === undefined) throw new Error('no key');
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ iss: this.url, aud: 'tsc', sub: 'repo:acme/app', iat: now, exp: now + 60, ...claims })
      .setProtectedHeader({ alg: pair.alg, kid: pair.id, ...header })
      .sign(pair.privateKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
