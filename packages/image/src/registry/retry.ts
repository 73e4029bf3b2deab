import { setTimeout as delay } from 'node:timers/promises';

import { isImageError } from '../errors.ts';

/** When to try again, every member set. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, minDelayMs: 250, maxDelayMs: 30_000 };

const AGAIN: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Answers that may be another one next time. */
export const isTransientStatus = (status: number): boolean => AGAIN.has(status);

const TRANSIENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/** The word of Node or undici for what became of a connection. */
export const connectionCode = (error: unknown): unknown => (error as { readonly code?: unknown } | undefined)?.code;

/** Whether a connection failed in a way that it may not the next time; a bad certificate stays bad. */
export const isTransient = (error: unknown): boolean =>
  isImageError(error) && error.code === 'REGISTRY_UNREACHABLE' && TRANSIENT.has(connectionCode(error.cause));

/**
 * What `Retry-After` asks for, in milliseconds from `nowMs`; `undefined` if it can't be read.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export const parseRetryAfter = (header: string | undefined, nowMs: number): number | undefined => {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  // Date.parse takes "5." or "2030" too; an HTTP date begins with the name of a day.
  const date = /^[A-Za-z]{3}/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
};

/** What the wait depends on. */
export interface Wait {
  /** 1 after the first try. */
  readonly failures: number;
  readonly retryAfterMs?: number | undefined;
  /** In [0, 1). */
  readonly random: number;
}

/** Half of an exponentially growing time and a random part of the other half, or what the server asks; never over the limit. */
export const retryDelayMs = (policy: RetryPolicy, { failures, retryAfterMs, random }: Wait): number => {
  const backOff = policy.minDelayMs * 2 ** (failures - 1);
  const jittered = backOff / 2 + (backOff / 2) * random;
  return Math.min(policy.maxDelayMs, Math.max(jittered, retryAfterMs ?? 0));
};

/** Waits before the next try. @throws the signal's reason */
export const waitToRetry = async (
  policy: RetryPolicy,
  wait: Omit<Wait, 'random'>,
  signal?: AbortSignal,
): Promise<void> => {
  try {
    await delay(retryDelayMs(policy, { ...wait, random: Math.random() }), undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
};
