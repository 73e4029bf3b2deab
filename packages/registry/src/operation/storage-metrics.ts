import type { Gauge, Registry } from 'prom-client';

import type { InventoryStorage, TagStorage } from '../storage.ts';

export interface StorageMetricsOptions {
  readonly Gauge: typeof Gauge;
  readonly register: Registry;
  readonly storage: InventoryStorage & TagStorage;
  readonly ageMs: number;
  readonly onFailure: ((failure: unknown) => void) | undefined;
}

interface Sizes {
  readonly contents: number;
  readonly bytes: number;
  readonly repositories: number;
  readonly measuredAtMs: number;
}

const PAGE = 1000;

async function measure(storage: InventoryStorage & TagStorage, signal: AbortSignal): Promise<Sizes> {
  let contents = 0;
  let bytes = 0;
  for await (const { sizeBytes } of storage.listContents({ signal })) {
    signal.throwIfAborted();
    contents++;
    bytes += sizeBytes;
  }
  let repositories = 0;
  let after: string | undefined;
  do {
    signal.throwIfAborted();
    const { entries, next } = await storage.listRepositories({ limit: PAGE, after }, { signal });
    repositories += entries.length;
    after = next;
  } while (after !== undefined);
  return { contents, bytes, repositories, measuredAtMs: Date.now() };
}

/**
 * Sizes of a storage. Whoever reads the metrics begins a new measurement when the last one is too old, and doesn't wait for
 * it: the figures come with a later reading, and say when they were made.
 *
 * @returns ends it
 */
export function watchStorage({ Gauge, register, storage, ageMs, onFailure }: StorageMetricsOptions): () => void {
  const stopping = new AbortController();
  let sizes: Sizes | undefined;
  let running = false;
  const refresh = (): void => {
    if (running || (sizes !== undefined && Date.now() - sizes.measuredAtMs < ageMs)) return;
    running = true;
    measure(storage, stopping.signal)
      .then((measured) => {
        sizes = measured;
      })
      .catch((failure: unknown) => {
        if (!stopping.signal.aborted) onFailure?.(failure);
      })
      .finally(() => {
        running = false;
      });
  };
  const gauge = (name: string, help: string, value: (sizes: Sizes) => number): void => {
    new Gauge({
      name,
      help,
      registers: [register],
      collect() {
        refresh();
        if (sizes === undefined) this.remove();
        else this.set(value(sizes));
      },
    });
  };
  gauge('registry_storage_contents', 'Blobs and manifests, each once', ({ contents }) => contents);
  gauge('registry_storage_bytes', 'Bytes of these', ({ bytes }) => bytes);
  gauge('registry_storage_repositories', 'Repositories that have a manifest', ({ repositories }) => repositories);
  gauge(
    'registry_storage_measured_timestamp_seconds',
    'When storage was measured',
    ({ measuredAtMs }) => measuredAtMs / 1000,
  );
  return () => stopping.abort();
}
