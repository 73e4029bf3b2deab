import { createHash, createHmac, randomBytes } from 'node:crypto';

import { RegistryError } from '../errors.ts';
import { costOf } from './htpasswd.ts';
import type { Accounts } from './htpasswd.ts';
import { PasswordThread } from './password-thread.ts';

/** What was right stays right for a while, so that a push doesn't pay for each of its requests. */
const REMEMBER_MS = 60_000;
const REMEMBER_MAX = 10_000;
const WAITING_MAX = 64;
const PASSWORD_MAX_BYTES = 255;
const DEFAULT_COST = 10;
/** A salt and a digest that no password has; the cost goes in between. */
const NOBODY = ['$2b$', `$${'.'.repeat(21)}u${'x'.repeat(31)}`] as const;

/** Checks passwords of accounts that may change meanwhile. */
export class Passwords implements AsyncDisposable {
  readonly #accounts: () => Accounts;
  readonly #thread = new PasswordThread();
  readonly #secret = randomBytes(32);
  /** When what is known to be right is forgotten, by a keyed hash of it: nobody reads a password from our memory. */
  readonly #right = new Map<string, number>();
  readonly #running = new Map<string, Promise<boolean>>();
  #costs: { readonly accounts: Accounts; readonly usual: number } | undefined;

  constructor(accounts: () => Accounts) {
    this.#accounts = accounts;
  }

  /**
   * Whether an account is there and has this password. It takes as long when there is none: who measures learns nothing, as
   * long as all hashes have the same cost.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS`: too many are being compared
   */
  async verify(account: string, password: string): Promise<boolean> {
    const accounts = this.#accounts();
    const known = accounts.get(account);
    const hash = known ?? NOBODY.join(String(this.#usualCost(accounts)).padStart(2, '0'));
    if (Buffer.byteLength(password) > PASSWORD_MAX_BYTES) return false;
    const key = this.#keyOf(account, password, hash);
    if ((this.#right.get(key) ?? 0) > performance.now()) return true;
    const same = await this.#compare(key, password, hash);
    if (!same || known === undefined) return false;
    this.#remember(key);
    return true;
  }

  /** What changes with an account's password, and gives nothing of it away; undefined: no such account. */
  fingerprint(account: string): string | undefined {
    const hash = this.#accounts().get(account);
    return hash === undefined ? undefined : createHash('sha256').update(hash).digest('base64url').slice(0, 22);
  }

  #keyOf(...parts: readonly string[]): string {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest('base64url');
  }

  /** Clients ask with the same password many times at once. */
  #compare(key: string, password: string, hash: string): Promise<boolean> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    if (this.#thread.waiting >= WAITING_MAX) {
      throw new RegistryError('TOOMANYREQUESTS', 'too many passwords are being checked', {
        headers: { 'Retry-After': '2' },
      });
    }
    const compared = this.#thread.compare(password, hash).finally(() => this.#running.delete(key));
    this.#running.set(key, compared);
    return compared;
  }

  #remember(key: string): void {
    const now = performance.now();
    this.#right.delete(key);
    this.#right.set(key, now + REMEMBER_MS);
    for (const [old, untilMs] of this.#right) {
      if (untilMs > now && this.#right.size <= REMEMBER_MAX) break;
      this.#right.delete(old);
    }
  }

  #usualCost(accounts: Accounts): number {
    if (this.#costs?.accounts !== accounts) {
      const counts = new Map<number, number>();
      for (const hash of accounts.values()) counts.set(costOf(hash), (counts.get(costOf(hash)) ?? 0) + 1);
      const [most] = [...counts].sort(([, a], [, b]) => b - a);
      this.#costs = { accounts, usual: most?.[0] ?? DEFAULT_COST };
    }
    return this.#costs.usual;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }
}
