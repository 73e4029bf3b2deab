import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { RegistryConfigError } from '../errors.ts';
import { verifyJwt } from './jwt.ts';
import type { Refused } from './jwt.ts';
import type { DelegatedTokenOptions } from './options.ts';
import type { Grant } from './own-tokens.ts';
import { readActor, readScopes } from './token-claims.ts';
import { withFile } from '../watched-files.ts';

const OPTION = 'access.delegatedTokens.publicKeysFile';
const CLOCK_SKEW_SECONDS = 60;

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** What a key can have signed: each key is for its own algorithms only. */
function algorithmsOf(key: KeyObject): readonly string[] {
  if (key.asymmetricKeyType === 'rsa') return ['RS256', 'RS384', 'RS512'];
  if (key.asymmetricKeyType === 'ed25519') return ['EdDSA'];
  const algorithm = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  return algorithm === undefined ? [] : [algorithm];
}

/** Reads public keys, also those of certificates. @throws {@link RegistryConfigError} `CONFIG_FILE_…` */
export async function readPublicKeys(path: string): Promise<readonly KeyObject[]> {
  const content = await withFile(path, OPTION, () => readFile(path, 'utf8'));
  const bad = (why: string, cause?: unknown): RegistryConfigError =>
    new RegistryConfigError('CONFIG_FILE_INVALID', `${path}: ${why}`, { option: OPTION, path, cause });
  const blocks = content.match(/-----BEGIN (CERTIFICATE|PUBLIC KEY)-----[^-]*-----END \1-----/g) ?? [];
  if (blocks.length === 0) throw bad('no certificate and no public key in PEM');
  return blocks.map((block, index) => {
    try {
      const key = createPublicKey(block);
      if (algorithmsOf(key).length > 0) return key;
    } catch (cause) {
      throw bad(`block ${String(index + 1)} can't be read`, cause);
    }
    throw bad(`block ${String(index + 1)}: want an RSA, P-256, P-384, P-521 or Ed25519 key`);
  });
}

/** Knows the tokens of somebody else's token server. */
export class DelegatedTokens {
  readonly realm: string;
  readonly service: string;
  readonly #issuer: string;
  readonly #keys: () => readonly KeyObject[];

  constructor(options: DelegatedTokenOptions, keys: () => readonly KeyObject[]) {
    this.realm = options.realm;
    this.service = options.service;
    this.#issuer = options.issuer;
    this.#keys = keys;
  }

  async verify(token: string): Promise<Grant | Refused> {
    let last: Refused = { refused: 'the token is malformed' };
    for (const key of this.#keys()) {
      const claims = await verifyJwt(token, key, {
        issuer: this.#issuer,
        audience: this.service,
        algorithms: [...algorithmsOf(key)],
        clockTolerance: CLOCK_SKEW_SECONDS,
      });
      if ('refused' in claims) {
        last = claims as Refused;
        continue;
      }
      const scopes = readScopes(claims['access'] ?? []);
      const actor = readActor(claims.sub, undefined);
      if (scopes !== undefined && actor !== undefined) return { actor, scopes };
    }
    return last;
  }
}
