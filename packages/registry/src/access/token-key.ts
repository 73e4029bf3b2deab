import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';

import { RegistryConfigError } from '../errors.ts';
import { withFile } from '../watched-files.ts';

/** The pair that tokens are signed with, ES256. */
export interface TokenKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The public key's hash. */
  readonly id: string;
}

const OPTION = 'access.tokens.keyFile';

const makePrivateKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;

function withPublicKey(privateKey: KeyObject): TokenKey {
  const publicKey = createPublicKey(privateKey);
  const id = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  return { privateKey, publicKey, id };
}

/**
 * The key of a file, which is made when it isn't there, readable for its owner only; of several processes that make it at
 * once, all use the same. Without a file, a new key.
 *
 * @throws {@link RegistryConfigError} `CONFIG_FILE_UNREADABLE`, `CONFIG_FILE_INVALID`
 */
export async function openTokenKey(path: string | undefined): Promise<TokenKey> {
  if (path === undefined) return withPublicKey(makePrivateKey());
  const there = await withFile(path, OPTION, () => readOrMake(path));
  return withPublicKey(parseKey(there, path));
}

async function readOrMake(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await makeKeyFile(path);
  return await readFile(path, 'utf8');
}

/** A link makes the name only when nobody has it, and the file behind it is whole by then. */
async function makeKeyFile(path: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(makePrivateKey().export({ type: 'pkcs8', format: 'pem' }));
    await file.sync();
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await file.close();
    await unlink(temporary);
  }
}

function parseKey(pem: string, path: string): KeyObject {
  const bad = (why: string, cause?: unknown): RegistryConfigError =>
    new RegistryConfigError('CONFIG_FILE_INVALID', `${path}: ${why}`, { option: OPTION, path, cause });
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw bad('no private key in PEM', cause);
  }
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw bad(`want an EC key on P-256, not ${key.asymmetricKeyType ?? 'this'}`);
}
