import { describe, expect, test } from '@jest/globals';

import { ImageError } from '../errors.ts';
import { isTransient, parseRetryAfter, retryDelayMs, waitToRetry } from './retry.ts';

const POLICY = { attempts: 5, minDelayMs: 100, maxDelayMs: 1000 };

describe('retry', () => {
  test('waits longer each time, up to the limit, with jitter', () => {
    const waits = (random: number): readonly number[] =>
      [1, 2, 3, 4, 5, 60].map((failures) => retryDelayMs(POLICY, { failures, random }));
    expect(waits(0)).toEqual([50, 100, 200, 400, 800, 1000]);
    expect(waits(0.5)).toEqual([75, 150, 300, 600, 1000, 1000]);
  });

  test('waits as long as the server asks, up to the limit', () => {
    expect(retryDelayMs(POLICY, { failures: 1, random: 0, retryAfterMs: 700 })).toBe(700);
    expect(retryDelayMs(POLICY, { failures: 1, random: 0, retryAfterMs: 1e9 })).toBe(1000);
    expect(retryDelayMs(POLICY, { failures: 3, random: 0, retryAfterMs: 1 })).toBe(200);
  });

  test('reads Retry-After in seconds and as a date', () => {
    const now = Date.parse('2025-06-01T12:00:00Z');
    expect(parseRetryAfter('7', now)).toBe(7000);
    expect(parseRetryAfter('Sun, 01 Jun 2025 12:00:09 GMT', now)).toBe(9000);
    expect(parseRetryAfter('Sun, 01 Jun 2025 11:00:00 GMT', now)).toBe(0);
    for (const bad of [undefined, '', '-1', '1.5', 'soon', '99999999999999']) {
      expect(parseRetryAfter(bad, now)).toBeUndefined();
    }
  });

  test('tells a lost connection from a bad certificate', () => {
    const because = (code: string): ImageError =>
      new ImageError('REGISTRY_UNREACHABLE', 'x', { cause: Object.assign(new Error('y'), { code }) });
    expect(isTransient(because('ECONNRESET'))).toBe(true);
    expect(isTransient(because('CERT_HAS_EXPIRED'))).toBe(false);
    expect(isTransient(because('ENOTFOUND'))).toBe(false);
    expect(isTransient(new Error('ECONNRESET'))).toBe(false);
  });

  test('an abort ends the wait with its reason', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = waitToRetry({ ...POLICY, minDelayMs: 1e6, maxDelayMs: 1e6 }, { failures: 1 }, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});
