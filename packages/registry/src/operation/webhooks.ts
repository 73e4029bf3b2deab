import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { compilePatterns } from '../patterns.ts';
import type { RegistryEvent } from '../server/events.ts';
import { envelopeEvents } from './envelope.ts';
import { Spool } from './spool.ts';
import type { Left } from './spool.ts';
import type { WebhookOptions, Webhooks, WebhookTarget } from './webhook-options.ts';
import { WebhookQueue } from './webhook-queue.ts';
import { parseTarget, postEvents } from './webhook-request.ts';
import type { PostOptions } from './webhook-request.ts';

const TIMEOUT_MS = 10_000;
const RETRY_MS = 1000;
const QUEUE_MAX = 10_000;
const GRACE_MS = 5000;

type Client = Pick<PostOptions, 'request' | 'dispatcher'>;

interface Hook {
  readonly shown: string;
  readonly wants: (event: RegistryEvent) => boolean;
  readonly queue: WebhookQueue;
}

/**
 * Opens webhooks: events that are handed to them are posted to each target that wants them, in order, until it takes them.
 * Bodies have the form of docker-registry's notifications. Whoever hands an event on never waits for it.
 *
 * @throws TypeError: a URL, a header or a pattern is wrong; with a spool, two targets have the same URL
 * @throws Error with a `code` of the kernel: the spool's directory can't be used
 * @see https://distribution.github.io/distribution/about/notifications/
 * @example
 * await using webhooks = await openWebhooks([{ url: 'https://ci.example.com/images', events: ['push'] }]);
 * createRegistry({ storage, onEvent: webhooks.onEvent });
 */
export async function openWebhooks(targets: readonly WebhookTarget[], options: WebhookOptions = {}): Promise<Webhooks> {
  // CommonJS, whose names a bundler leaves to the default export.
  const { Agent, request } = (await import('undici')).default;
  const source = { addr: options.sourceName ?? hostname(), instanceID: randomUUID() };
  // Everything is looked at before anything is begun.
  const plans = targets.map((target) => ({ target, address: parseTarget(target), wants: filterOf(target) }));
  if (options.spoolDir !== undefined && new Set(plans.map(({ address }) => address.url)).size < plans.length) {
    throw new TypeError('two webhooks with one URL would share a spool');
  }
  const dispatcher = new Agent({ connections: 1 });
  const left = await Promise.all(plans.map(({ address }) => openSpool(options.spoolDir, address.url)));
  const hooks = plans.map(({ target, address, wants }, index): Hook => {
    const queue = openQueue(target, { address, left: left[index], client: { request, dispatcher }, options });
    return { shown: address.shown, wants, queue };
  });
  const close: Webhooks['close'] = async ({ graceMs = GRACE_MS } = {}) => {
    const grace = AbortSignal.timeout(graceMs);
    await Promise.all(hooks.map(({ queue }) => queue.close(grace)));
    await dispatcher.destroy();
  };
  return {
    onEvent: (event) => {
      const wanting = hooks.filter(({ wants }) => wants(event));
      if (wanting.length === 0) return;
      const sent = envelopeEvents(event, source);
      for (const { queue } of wanting) for (const one of sent) queue.push(one);
    },
    state: () => hooks.map(({ shown, queue }) => ({ url: shown, ...queue.state })),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

function filterOf({ events, objects = ['manifest', 'tag'], repositories }: WebhookTarget): Hook['wants'] {
  const matches = repositories === undefined ? () => true : compilePatterns(repositories);
  return ({ type, object, name }) =>
    (events === undefined || events.includes(type)) && objects.includes(object) && matches(name);
}

/** A target is known again by its URL, wherever it stands in the list. */
async function openSpool(spoolDir: string | undefined, url: string): Promise<Left | undefined> {
  if (spoolDir === undefined) return undefined;
  const name = createHash('sha256').update(url).digest('hex').slice(0, 32);
  return Spool.open(join(spoolDir, name));
}

interface QueueContext {
  readonly address: ReturnType<typeof parseTarget>;
  readonly left: Left | undefined;
  readonly client: Client;
  readonly options: WebhookOptions;
}

function openQueue(target: WebhookTarget, { address, left, client, options }: QueueContext): WebhookQueue {
  const { secret, timeoutMs = TIMEOUT_MS, retryMs = RETRY_MS, queueMax = QUEUE_MAX } = target;
  return new WebhookQueue({
    post: (events, signal) => postEvents(address, events, { ...client, secret, timeoutMs, signal }),
    spool: left?.spool,
    waiting: left?.waiting ?? [],
    next: left?.next ?? 1,
    queueMax,
    retryMs,
    onFailure: (why, cause) => options.onFailure?.(new Error(`webhook ${address.shown}: ${why}`, { cause })),
  });
}
