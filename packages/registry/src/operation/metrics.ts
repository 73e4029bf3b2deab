import type { AdmittedRequest, RegistryEvent, RequestRecord } from '../server/events.ts';
import type { GarbageReport, InventoryStorage, TagStorage } from '../storage.ts';
import { watchProcess } from './process-metrics.ts';
import { RequestCounters } from './request-metrics.ts';
import { watchStorage } from './storage-metrics.ts';

/** How an upstream's content was had: from here, from there, or from here although it couldn't be asked. */
export type CacheResult = 'hit' | 'miss' | 'stale';

export interface MetricsOptions {
  /** Is measured now and then: how many contents and bytes it has, and repositories. Default: isn't. */
  readonly storage?: (InventoryStorage & TagStorage) | undefined;
  /** How old those figures may get: to make them, everything is listed. Default an hour. */
  readonly storageAgeMs?: number | undefined;
  /** Is told when they can't be made. It must not throw. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
}

/** Counts what a registry does. Its functions are hooks to be handed on; no label of it has a name that a client chose. */
export interface Metrics extends Disposable {
  readonly onAdmit: (request: AdmittedRequest) => void;
  readonly onRequest: (record: RequestRecord) => void;
  readonly onEvent: (event: RegistryEvent) => void;
  readonly onCache: (result: CacheResult) => void;
  /** A collection has ended. */
  readonly onGarbage: (report: GarbageReport) => void;
  /** Everything, as Prometheus reads it. */
  text(): Promise<string>;
  /** The media type of that. */
  readonly contentType: string;
}

const STORAGE_AGE_MS = 3_600_000;

/**
 * Begins to count.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @example
 * using metrics = await openMetrics({ storage });
 * createRegistry({ ...metrics, storage, endpoints: [metricsEndpoint(metrics)] });
 */
export async function openMetrics(options: MetricsOptions = {}): Promise<Metrics> {
  // CommonJS, whose names a bundler leaves to the default export.
  const { Counter, Gauge, Histogram, Registry } = (await import('prom-client')).default;
  const register = new Registry();
  const requests = new RequestCounters({ Counter, Gauge, Histogram, register });
  const { storage, storageAgeMs = STORAGE_AGE_MS, onFailure } = options;
  const stopStorage = storage && watchStorage({ Gauge, register, storage, ageMs: storageAgeMs, onFailure });
  const stopProcess = watchProcess({ Gauge, register });
  const counter = <T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
  ): InstanceType<typeof Counter<T>> => new Counter({ name, help, labelNames, registers: [register] });
  const events = counter('registry_events_total', 'What happened to repositories', ['type', 'object']);
  const cached = counter('registry_cache_requests_total', 'How contents of upstreams were had', ['result']);
  const collections = counter('registry_garbage_collections_total', 'Collections that have ended', []);
  const collected = counter('registry_garbage_removed_total', 'What collections removed', ['kind']);
  const freed = counter('registry_garbage_removed_bytes_total', 'Bytes of the contents that were removed', []);
  const collectedAt = new Gauge({
    name: 'registry_garbage_last_collection_timestamp_seconds',
    help: 'When the last collection ended',
    registers: [register],
  });
  return {
    onAdmit: (request) => requests.begin(request),
    onRequest: (record) => requests.end(record),
    onEvent: ({ type, object }) => events.inc({ type, object }),
    onCache: (result) => cached.inc({ result }),
    onGarbage: ({ unlinkedBlobs, removedBlobs, removedBytes }) => {
      collections.inc();
      collected.inc({ kind: 'link' }, unlinkedBlobs);
      collected.inc({ kind: 'content' }, removedBlobs);
      freed.inc(removedBytes);
      collectedAt.setToCurrentTime();
    },
    text: () => register.metrics(),
    contentType: register.contentType,
    [Symbol.dispose]: () => {
      stopStorage?.();
      stopProcess();
      register.clear();
    },
  };
}
