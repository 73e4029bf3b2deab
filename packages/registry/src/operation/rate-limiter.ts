import { isIPv6 } from 'node:net';

import { RegistryError } from '../errors.ts';
import type { Route } from '../routes.ts';
import type { AskingRequest, RequestLimiter } from '../server/limiter.ts';
import { TokenBuckets } from './token-buckets.ts';
import type { Admission, Rate } from './token-buckets.ts';

export interface RateLimits {
  /** Requests of one address, an IPv6 network of 64 bits counting as one. */
  readonly perAddress?: Rate | undefined;
  /** Requests of one account, wherever it asks from. */
  readonly perAccount?: Rate | undefined;
  /** Manifests read, which is what pulls are counted by, of one account, or of one address without an account. */
  readonly pulls?: Rate | undefined;
  /** Manifests written, likewise. */
  readonly pushes?: Rate | undefined;
  /** Requests of one address at the same time. */
  readonly concurrentPerAddress?: number | undefined;
  /** How many addresses and accounts are remembered by each of these limits. Default 100 000. */
  readonly trackedMax?: number | undefined;
}

const TRACKED_MAX = 100_000;
const BUSY_RETRY_S = 1;

/**
 * Makes a limiter of requests. What it remembers is bounded: of more addresses than that, the one that asked longest ago is
 * forgotten. It counts in this process only.
 *
 * @throws TypeError: a rate or a count is not positive
 * @example createRegistry({ storage, limiter: createRateLimiter({ perAddress: { requests: 1000, perSeconds: 60 } }) })
 */
export function createRateLimiter(limits: RateLimits): RequestLimiter {
  const trackedMax = positive(limits.trackedMax ?? TRACKED_MAX, 'trackedMax');
  const buckets = (rate: Rate | undefined): TokenBuckets | undefined =>
    rate === undefined ? undefined : new TokenBuckets(rate, trackedMax);
  const perAddress = buckets(limits.perAddress);
  const perAccount = buckets(limits.perAccount);
  const pulls = buckets(limits.pulls);
  const pushes = buckets(limits.pushes);
  const concurrent =
    limits.concurrentPerAddress === undefined
      ? undefined
      : new Places(positive(limits.concurrentPerAddress, 'concurrentPerAddress'));
  return {
    admitConnection: (asking) => {
      const client = networkOf(asking.address);
      take(asking, perAddress?.take(client), 'requests from this address');
      concurrent?.enter(client, asking);
    },
    admitRequest: (asking, { account }, route) => {
      if (account !== undefined) take(asking, perAccount?.take(account), 'requests of this account');
      // An account can't be called what an address is: the two must not share a bucket.
      const client = account === undefined ? networkOf(asking.address) : `account ${account}`;
      take(asking, bucketOf(route, pulls, pushes)?.take(client), route.type === 'manifest-read' ? 'pulls' : 'pushes');
    },
  };
}

function bucketOf(route: Route, pulls?: TokenBuckets, pushes?: TokenBuckets): TokenBuckets | undefined {
  if (route.type === 'manifest-read' && !route.head) return pulls;
  return route.type === 'manifest-write' ? pushes : undefined;
}

function positive(value: number, what: string): number {
  if (value > 0) return value;
  throw new TypeError(`${what} is ${String(value)}: want more than 0`);
}

/**
 * What counts as one client. Whoever has an IPv6 address has 2⁶⁴ of them.
 *
 * @returns an address, or the first 64 bits of one, written in full
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined || !isIPv6(address)) return address ?? '';
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  // A dotted end stands for two groups; it is never among the first four, but it counts.
  const restLength = rest.length + (rest.at(-1)?.includes('.') === true ? 1 : 0);
  if (tail !== undefined) groups.push(...Array<string>(Math.max(0, 8 - groups.length - restLength)).fill('0'), ...rest);
  const first = groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16));
  return `${first.join(':')}::/64`;
}

/** Says how much is left, or that it is nothing. @throws {@link RegistryError} `TOOMANYREQUESTS` */
function take({ response }: AskingRequest, admission: Admission | undefined, what: string): void {
  if (admission === undefined) return;
  const { rate, remaining, retryMs } = admission;
  const window = `;w=${String(rate.perSeconds)}`;
  const headers = {
    'RateLimit-Limit': `${String(rate.requests)}${window}`,
    'RateLimit-Remaining': `${String(remaining)}${window}`,
  };
  if (retryMs === undefined) {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return;
  }
  throw new RegistryError('TOOMANYREQUESTS', `too many ${what}`, {
    headers: { ...headers, 'Retry-After': String(Math.max(1, Math.ceil(retryMs / 1000))) },
  });
}

/** How many requests each client has under way; those without any are not remembered. */
class Places {
  readonly #max: number;
  readonly #taken = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  enter(client: string, { response }: AskingRequest): void {
    const taken = this.#taken.get(client) ?? 0;
    if (taken >= this.#max) {
      throw new RegistryError('TOOMANYREQUESTS', 'too many requests from this address at once', {
        headers: { 'Retry-After': String(BUSY_RETRY_S) },
      });
    }
    this.#taken.set(client, taken + 1);
    response.once('close', () => this.#leave(client));
  }

  #leave(client: string): void {
    const left = (this.#taken.get(client) ?? 1) - 1;
    if (left === 0) this.#taken.delete(client);
    else this.#taken.set(client, left);
  }
}
