import type { RegistryEvent } from '../server/events.ts';

/** Where events are sent to. */
export interface WebhookTarget {
  /** A user and a password in it are sent as Basic credentials. */
  readonly url: string;
  /** What it has to be told of. Default: all of these. */
  readonly events?: readonly RegistryEvent['type'][] | undefined;
  /** Default: manifests and tags. Blobs come by the dozen with every image. */
  readonly objects?: readonly RegistryEvent['object'][] | undefined;
  /** Patterns of repositories: `team/*`, `team/**`. Default: every one. */
  readonly repositories?: readonly string[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Signs the body: `X-Hub-Signature-256: sha256=` and the HMAC-SHA256 in hex. */
  readonly secret?: string | undefined;
  /** An answer that takes longer is a failure. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** The wait after a first failure; it doubles with each one up to a minute. Default 1000. */
  readonly retryMs?: number | undefined;
  /** How many events may wait; of more, the oldest is dropped. Default 10 000. */
  readonly queueMax?: number | undefined;
}

export interface WebhookOptions {
  /**
   * A directory in which events wait, so that they survive this process: then a receiver can get one twice, and knows it by
   * its id. Of one process only. Default: what isn't delivered dies with the process.
   */
  readonly spoolDir?: string | undefined;
  /** What this registry is called in events. Default: the machine's name. */
  readonly sourceName?: string | undefined;
  /** Is told of deliveries that fail and events that are dropped. It must not throw. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
}

/** What became of the events for one target. */
export interface WebhookState {
  /** Without credentials and query. */
  readonly url: string;
  readonly waiting: number;
  readonly delivered: number;
  /** Given up: too many waited, or the receiver won't have them. */
  readonly dropped: number;
}

/** Sends events. */
export interface Webhooks extends AsyncDisposable {
  /** Takes an event; it is on its way later. */
  readonly onEvent: (event: RegistryEvent) => void;
  state(): readonly WebhookState[];
  /** Gives what waits `graceMs` to be delivered, then stops; a spool keeps the rest. Default 5000. */
  close(options?: { readonly graceMs?: number | undefined }): Promise<void>;
}
