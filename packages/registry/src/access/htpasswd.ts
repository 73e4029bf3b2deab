import { readFile } from 'node:fs/promises';

import { RegistryConfigError } from '../errors.ts';
import { withFile } from '../watched-files.ts';

/** Hashes of passwords by account. */
export type Accounts = ReadonlyMap<string, string>;

export const HTPASSWD_OPTION = 'access.accounts.htpasswdFile';

/** More rounds than 2 to this would keep everybody else waiting for seconds. */
const COST_MAX = 15;
const COST_MIN = 4;

/**
 * Reads accounts as `htpasswd -nbB` writes them.
 *
 * @throws {@link RegistryConfigError} `CONFIG_FILE_INVALID`: says in which line, and never what is in it
 */
export function parseHtpasswd(content: string, path: string): Accounts {
  const accounts = new Map<string, string>();
  for (const [index, raw] of content.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const bad = (why: string): RegistryConfigError =>
      new RegistryConfigError('CONFIG_FILE_INVALID', `${path}: line ${String(index + 1)}: ${why}`, {
        option: HTPASSWD_OPTION,
        path,
      });
    const colon = line.indexOf(':');
    if (colon <= 0) throw bad('want name:hash');
    const account = line.slice(0, colon);
    if (!isAccountName(account)) throw bad('the account name has control characters, or more than 255 bytes');
    const hash = line.slice(colon + 1);
    const problem = problemOf(hash);
    if (problem !== undefined) throw bad(`account ${JSON.stringify(account)}: ${problem}`);
    if (accounts.has(account)) throw bad(`account ${JSON.stringify(account)} is there twice`);
    accounts.set(account, hash);
  }
  return accounts;
}

/** Names that mean the same to everybody: without control characters, and not endless. */
export const isAccountName = (name: string): boolean =>
  name !== '' && Buffer.byteLength(name) <= 255 && !/\p{Cc}/u.test(name);

export const costOf = (hash: string): number => Number(hash.slice(4, 6));

function problemOf(hash: string): string | undefined {
  if (!/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
    return `its hash is ${kindOf(hash)}, and only bcrypt is safe: make it with htpasswd -B`;
  }
  const cost = costOf(hash);
  if (cost >= COST_MIN && cost <= COST_MAX) return undefined;
  return `a bcrypt cost of ${String(cost)}: want ${String(COST_MIN)} to ${String(COST_MAX)}`;
}

function kindOf(hash: string): string {
  if (hash.startsWith('$2')) return 'a broken bcrypt one';
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'MD5';
  if (hash.startsWith('{SHA}')) return 'SHA-1';
  if (hash.startsWith('$5$') || hash.startsWith('$6$')) return 'that of crypt with SHA-2';
  return 'crypt, or plain text';
}

/** @throws {@link RegistryConfigError} `CONFIG_FILE_UNREADABLE`, `CONFIG_FILE_INVALID` */
export async function readHtpasswd(path: string): Promise<Accounts> {
  return parseHtpasswd(await withFile(path, HTPASSWD_OPTION, () => readFile(path, 'utf8')), path);
}
