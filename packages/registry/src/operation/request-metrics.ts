import type { Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { AdmittedRequest, RequestRecord } from '../server/events.ts';

/** The parts of prom-client that are used, handed on because loading it takes a while. */
export interface RequestMetricsOptions {
  readonly Counter: typeof Counter;
  readonly Gauge: typeof Gauge;
  readonly Histogram: typeof Histogram;
  readonly register: Registry;
}

/** From what a cached manifest takes to what a layer does. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const UPLOADS: ReadonlySet<string> = new Set(['upload-whole', 'upload-chunk', 'upload-finish']);

/** Counts requests, by labels of which there are few. */
export class RequestCounters {
  readonly #total: Counter<'route' | 'method' | 'status'>;
  readonly #errors: Counter<'code'>;
  readonly #seconds: Histogram<'route' | 'method'>;
  readonly #received: Counter<'route'>;
  readonly #sent: Counter<'route'>;
  /** Routes of the requests that are under way, by their id. */
  readonly #open = new Map<string, string>();

  constructor({ Counter, Gauge, Histogram, register }: RequestMetricsOptions) {
    const registers = [register];
    this.#total = new Counter({
      name: 'registry_requests_total',
      help: 'Requests that are over',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.#errors = new Counter({
      name: 'registry_errors_total',
      help: 'Answers that were an error of the specification',
      labelNames: ['code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'registry_request_duration_seconds',
      help: 'From the headers of a request to the end of its answer',
      labelNames: ['route', 'method'],
      buckets: SECONDS,
      registers,
    });
    this.#received = new Counter({
      name: 'registry_received_bytes_total',
      help: 'Bytes from clients, headers too',
      labelNames: ['route'],
      registers,
    });
    this.#sent = new Counter({
      name: 'registry_sent_bytes_total',
      help: 'Bytes to clients, headers too',
      labelNames: ['route'],
      registers,
    });
    const openRoutes = (): readonly string[] => [...this.#open.values()];
    new Gauge({
      name: 'registry_requests_in_progress',
      help: 'Requests of the distribution API that are under way',
      registers,
      collect() {
        this.set(openRoutes().length);
      },
    });
    new Gauge({
      name: 'registry_uploads_in_progress',
      help: 'Requests under way that bring bytes of blobs',
      registers,
      collect() {
        this.set(openRoutes().filter((route) => UPLOADS.has(route)).length);
      },
    });
  }

  begin({ requestId, route }: AdmittedRequest): void {
    this.#open.set(requestId, route);
  }

  end(record: RequestRecord): void {
    const { requestId, route = 'none', status, errorCode, durationMs, receivedBytes, sentBytes } = record;
    const method = METHODS.has(record.method) ? record.method : 'other';
    this.#open.delete(requestId);
    this.#total.inc({ route, method, status });
    if (errorCode !== undefined) this.#errors.inc({ code: errorCode });
    this.#seconds.observe({ route, method }, durationMs / 1000);
    this.#received.inc({ route }, receivedBytes);
    this.#sent.inc({ route }, sentBytes);
  }
}
