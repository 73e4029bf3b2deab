import { createHmac } from 'node:crypto';

import type { Dispatcher, request as undiciRequest } from 'undici';

import { ENVELOPE_TYPE } from './envelope.ts';
import type { EnvelopeEvent } from './envelope.ts';
import type { WebhookTarget } from './webhook-options.ts';

/** A target that was looked at: its URL has no credentials any more. */
export interface WebhookAddress {
  readonly url: string;
  /** Without the query, which may have a token. */
  readonly shown: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The receiver took them; it never will; it may later. */
export type Outcome =
  | { readonly type: 'delivered' }
  | { readonly type: 'refused'; readonly status: number }
  | { readonly type: 'failed'; readonly why: unknown; readonly afterMs: number | undefined };

/** A body that is wrong for these is wrong for ever. */
const REFUSALS: ReadonlySet<number> = new Set([400, 410, 413, 415, 422]);
const ANSWER_BYTES = 64 * 1024;
const RETRY_AFTER_MAX_MS = 300_000;

/** @throws TypeError: it is no HTTP URL, or a header can't be sent */
export function parseTarget({ url, headers = {} }: WebhookTarget): WebhookAddress {
  const parsed = URL.parse(url);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) {
    throw new TypeError('a webhook needs a URL that begins with http:// or https://');
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(value)) {
      throw new TypeError(`header ${JSON.stringify(name)} of the webhook ${parsed.host} can't be sent`);
    }
  }
  const credentials = `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`;
  parsed.username = '';
  parsed.password = '';
  return {
    url: parsed.href,
    shown: `${parsed.origin}${parsed.pathname}`,
    headers: {
      ...(credentials === ':' ? {} : { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
      ...headers,
    },
  };
}

export interface PostOptions {
  readonly request: typeof undiciRequest;
  readonly dispatcher: Dispatcher;
  readonly secret: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Sends events in one envelope. */
export async function postEvents(
  { url, headers }: WebhookAddress,
  events: readonly EnvelopeEvent[],
  { request, dispatcher, secret, timeoutMs, signal }: PostOptions,
): Promise<Outcome> {
  const body = JSON.stringify({ events });
  const signature = secret === undefined ? undefined : createHmac('sha256', secret).update(body).digest('hex');
  try {
    const answer = await request(url, {
      method: 'POST',
      body,
      dispatcher,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: {
        'User-Agent': 'tsc-registry',
        ...headers,
        'Content-Type': ENVELOPE_TYPE,
        ...(signature === undefined ? {} : { 'X-Hub-Signature-256': `sha256=${signature}` }),
      },
    });
    await answer.body.dump({ limit: ANSWER_BYTES, signal: AbortSignal.timeout(timeoutMs) });
    return outcomeOf(answer.statusCode, answer.headers['retry-after']);
  } catch (why) {
    return { type: 'failed', why, afterMs: undefined };
  }
}

function outcomeOf(status: number, retryAfter: string | string[] | undefined): Outcome {
  if (status >= 200 && status < 300) return { type: 'delivered' };
  if (REFUSALS.has(status)) return { type: 'refused', status };
  const seconds = Number(retryAfter);
  const afterMs = seconds > 0 ? Math.min(seconds * 1000, RETRY_AFTER_MAX_MS) : undefined;
  return { type: 'failed', why: new Error(`status ${String(status)}`), afterMs };
}
