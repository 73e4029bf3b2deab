import { readdir } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import type { Gauge, Registry } from 'prom-client';

export interface ProcessMetricsOptions {
  readonly Gauge: typeof Gauge;
  readonly register: Registry;
}

const NS_PER_S = 1e9;

/**
 * Memory, processor time, descriptors and the lag of the event loop, by the names that dashboards know. What prom-client
 * itself has for this can't be ended.
 *
 * @returns ends it
 */
export function watchProcess({ Gauge, register }: ProcessMetricsOptions): () => void {
  const lag = monitorEventLoopDelay({ resolution: 10 });
  lag.enable();
  const gauge = (name: string, help: string, read: () => number | Promise<number>): void => {
    new Gauge({
      name,
      help,
      registers: [register],
      async collect() {
        this.set(await read());
      },
    });
  };
  gauge('process_resident_memory_bytes', 'Memory that is resident', () => process.memoryUsage.rss());
  gauge('nodejs_heap_size_used_bytes', 'Heap in use', () => process.memoryUsage().heapUsed);
  gauge(
    'nodejs_external_memory_bytes',
    'Memory of buffers and other C++ objects',
    () => process.memoryUsage().external,
  );
  gauge('process_cpu_seconds_total', 'Processor time of user and system', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  gauge('process_start_time_seconds', 'When the process began', () => Date.now() / 1000 - process.uptime());
  gauge('process_open_fds', 'Open descriptors', countDescriptors);
  gauge('nodejs_eventloop_lag_mean_seconds', 'Mean lag of the event loop since the last reading', () => {
    const mean = lag.mean;
    return Number.isFinite(mean) ? mean / NS_PER_S : 0;
  });
  gauge('nodejs_eventloop_lag_p99_seconds', '99th percentile of the same', () => lag.percentile(99) / NS_PER_S);
  gauge('nodejs_eventloop_lag_max_seconds', 'The longest of the same', () => {
    const max = lag.max;
    // The last of its gauges: they are read in this order.
    lag.reset();
    return max / NS_PER_S;
  });
  return () => lag.disable();
}

/** One of them is that of the directory that is being read. */
const countDescriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length - 1;
