import { setTimeout as sleep } from 'node:timers/promises';

import type { EnvelopeEvent } from './envelope.ts';
import type { Spool, Waiting } from './spool.ts';
import type { Outcome } from './webhook-request.ts';

export interface WebhookQueueOptions {
  readonly post: (events: readonly EnvelopeEvent[], signal: AbortSignal) => Promise<Outcome>;
  readonly spool: Spool | undefined;
  readonly waiting: readonly Waiting[];
  readonly next: number;
  readonly queueMax: number;
  readonly retryMs: number;
  /** Is told of deliveries that fail and events that are given up. */
  readonly onFailure: (why: string, cause?: unknown) => void;
}

/** Events that go in one envelope, when several wait. */
const BATCH = 20;
const RETRY_MAX_MS = 60_000;
const SAVE_MS = 1000;
/** How many more must be dropped before it is told again. */
const TELL_EVERY = 1000;

/** The events for one target, in their order: one envelope is under way at a time, and is tried until it arrives. */
export class WebhookQueue {
  readonly #options: WebhookQueueOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #queue: Waiting[];
  #unspooled: Waiting[] = [];
  #spooling: Promise<void> | undefined;
  #sending = 0;
  #next: number;
  #savedAtMs = 0;
  #delivered = 0;
  #dropped = 0;
  #wake = Promise.withResolvers<undefined>();
  #empty = Promise.withResolvers<undefined>();

  constructor(options: WebhookQueueOptions) {
    this.#options = options;
    this.#queue = [...options.waiting];
    this.#next = options.next;
    this.#limit();
    this.#running = this.#run();
  }

  get state(): { readonly waiting: number; readonly delivered: number; readonly dropped: number } {
    return { waiting: this.#queue.length, delivered: this.#delivered, dropped: this.#dropped };
  }

  push(event: EnvelopeEvent): void {
    if (this.#stopping.signal.aborted) return;
    const waiting = { number: this.#next++, event };
    this.#queue.push(waiting);
    this.#limit();
    if (this.#options.spool !== undefined) {
      this.#unspooled.push(waiting);
      this.#spooling ??= this.#spoolAll(this.#options.spool);
    }
    this.#wake.resolve(undefined);
  }

  /** Lets what waits be delivered until `signal` aborts, then stops. */
  async close(signal: AbortSignal): Promise<void> {
    const late = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    if (this.#queue.length > 0 && !signal.aborted) {
      this.#empty = Promise.withResolvers();
      await Promise.race([this.#empty.promise, late]);
    }
    this.#stopping.abort();
    this.#wake.resolve(undefined);
    await this.#running;
    await this.#spooling;
    await this.#save();
  }

  #limit(): void {
    const { queueMax, onFailure } = this.#options;
    const over = this.#queue.length - Math.max(queueMax, this.#sending + 1);
    if (over <= 0) return;
    this.#queue.splice(this.#sending, over);
    const before = this.#dropped;
    this.#dropped += over;
    if (Math.floor(before / TELL_EVERY) === Math.floor(this.#dropped / TELL_EVERY) && before > 0) return;
    onFailure(`too many events wait: dropped ${String(this.#dropped)} so far`);
  }

  /** Several events that come while a disk is busy cost one write. */
  async #spoolAll(spool: Spool): Promise<void> {
    await Promise.resolve();
    while (this.#unspooled.length > 0) {
      const events = this.#unspooled;
      this.#unspooled = [];
      try {
        await spool.append(events);
      } catch (error) {
        this.#options.onFailure('events would not survive this process', error);
      }
    }
    this.#spooling = undefined;
  }

  async #save(): Promise<void> {
    try {
      await this.#options.spool?.save();
    } catch (error) {
      this.#options.onFailure('events would be sent again after this process', error);
    }
    this.#savedAtMs = performance.now();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = (): boolean => signal.aborted;
    let failures = 0;
    while (!stopped()) {
      if (this.#queue.length === 0) {
        this.#empty.resolve(undefined);
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
        continue;
      }
      const outcome = await this.#send();
      if (outcome.type !== 'failed') {
        failures = 0;
        if (performance.now() - this.#savedAtMs > SAVE_MS) await this.#save();
      } else if (!stopped()) {
        this.#options.onFailure('delivery failed, and is tried again', outcome.why);
        await sleep(this.#waitMs(failures++, outcome.afterMs), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #send(): Promise<Outcome> {
    const { post, spool, onFailure } = this.#options;
    const batch = this.#queue.slice(0, BATCH);
    this.#sending = batch.length;
    const outcome = await post(
      batch.map(({ event }) => event),
      this.#stopping.signal,
    );
    this.#sending = 0;
    if (outcome.type === 'failed') return outcome;
    this.#queue.splice(0, batch.length);
    spool?.markDone(batch.at(-1)?.number ?? 0);
    if (outcome.type === 'delivered') this.#delivered += batch.length;
    else {
      this.#dropped += batch.length;
      onFailure(`the receiver refused ${String(batch.length)} events: status ${String(outcome.status)}`);
    }
    return outcome;
  }

  /** Doubled with each failure, and never the same for two that failed together. */
  #waitMs(failures: number, afterMs: number | undefined): number {
    const backOff = Math.min(this.#options.retryMs * 2 ** Math.min(failures, 16), RETRY_MAX_MS);
    return afterMs ?? backOff * (0.5 + Math.random() / 2);
  }
}
