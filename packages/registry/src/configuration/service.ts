import { join } from 'node:path';

import { openAccessControl } from '../access/open.ts';
import { RegistryConfigError } from '../errors.ts';
import { openFileSystemStorage } from '../filesystem/storage.ts';
import { createHealth } from '../operation/health.ts';
import type { Health } from '../operation/health.ts';
import { metricsEndpoint } from '../operation/metrics-endpoint.ts';
import { openMetrics } from '../operation/metrics.ts';
import type { CacheResult, Metrics } from '../operation/metrics.ts';
import { createRateLimiter } from '../operation/rate-limiter.ts';
import { createRequestLog } from '../operation/request-log.ts';
import { openWebhooks } from '../operation/webhooks.ts';
import { pageEndpoints } from '../page/endpoints.ts';
import { openPolicy } from '../policy/rules.ts';
import type { RegistryEvent, RequestRecord } from '../server/events.ts';
import { checkServed, serveRegistry } from '../server/serve.ts';
import type { RegistryServer, ServeOptions } from '../server/serve.ts';
import type { RegistryStorage } from '../storage.ts';
import { cacheUpstreams, namespacesOf } from '../upstream/cache.ts';
import type { CachingStorage } from '../upstream/cache.ts';
import type { CacheEvent } from '../upstream/options.ts';
import { withCacheHeaders } from '../upstream/requests.ts';
import type { RegistryConfiguration, StorageConfiguration } from './configuration.ts';
import { startJobs } from './jobs.ts';

/** What happens beside requests: a job that ended, something that failed. */
export interface ServiceNote {
  readonly type: 'report' | 'failure';
  /** What it is about: `garbage`, `mirror`, `webhook`, `request`. */
  readonly subject: string;
  /** Plain data of a report, or the failure. */
  readonly detail: unknown;
}

export interface ServiceOptions {
  /** Takes a line about a request, with its end. Default: nothing is written down. */
  readonly writeLog?: ((line: string) => void) | undefined;
  /** Is told what nobody else hears. It must not throw. */
  readonly onNote?: ((note: ServiceNote) => void) | undefined;
}

/** Opens the storage that a configuration names. What it is made of is loaded only then. */
export async function openConfiguredStorage({ rootDir, s3 }: StorageConfiguration): Promise<RegistryStorage> {
  if (s3 !== undefined) return (await import('../s3/storage.ts')).openS3Storage(s3);
  if (rootDir !== undefined) return openFileSystemStorage(rootDir);
  throw new TypeError('a storage that is nowhere: check the configuration first');
}

/** What everything that runs beside requests is made with. */
export interface ServiceParts {
  readonly undo: AsyncDisposableStack;
  readonly note: (note: ServiceNote) => void;
  /** Tells a failure of something. */
  readonly failed: (subject: string) => (failure: unknown) => void;
}

/**
 * Runs a whole registry: the server with accounts, page, metrics and health, and what has to be done now and then.
 *
 * @param configuration - checked, as {@link readConfiguration} and {@link checkConfiguration} give it
 * @throws {@link RegistryConfigError}; Error with a `code` of the kernel; nothing is left running then
 * @example await using service = await runRegistry(await readConfiguration('registry.yaml'), { writeLog: (line) => process.stdout.write(line) });
 */
export async function runRegistry(
  configuration: RegistryConfiguration,
  { writeLog, onNote }: ServiceOptions = {},
): Promise<RegistryServer> {
  await checkServed(configuration);
  await using undo = new AsyncDisposableStack();
  const note = (said: ServiceNote): void => onNote?.(said);
  const parts: ServiceParts = {
    undo,
    note,
    failed: (subject) => (failure) => note({ type: 'failure', subject, detail: failure }),
  };
  const { access, log, policy, readOnly, upstreams, webhooks } = configuration;
  const files = undo.use(await openConfiguredStorage(configuration.storage));
  const metrics = await openServiceMetrics(configuration, files, parts);
  const storage = await openCache(configuration, files, { ...parts, metrics });
  const opened = access && undo.use(await openAccessControl(access, { onFailure: parts.failed('access') }));
  const health = createHealth({ storage: files, readOnly, onFailure: parts.failed('health') });
  const hooks =
    webhooks && undo.use(await openWebhooks(webhooks.targets, { ...webhooks, onFailure: parts.failed('webhook') }));
  const compiled = policy && openPolicy(policy);
  const server = undo.use(
    await serveRegistry({
      ...serverOptions(configuration),
      storage,
      policy: compiled,
      access: opened?.access,
      endpoints: [
        ...(opened?.endpoints ?? []),
        ...health.endpoints,
        ...(metrics === undefined ? [] : [metricsEndpoint(metrics, { access: opened?.access })]),
        ...(configuration.page === false ? [] : pageEndpoints({ storage, signIn: opened !== undefined })),
      ],
      wrap: upstreams === undefined ? undefined : withCacheHeaders,
      onAdmit: metrics?.onAdmit,
      onEvent: each<RegistryEvent>(metrics?.onEvent, hooks?.onEvent),
      onRequest: each<RequestRecord>(
        metrics?.onRequest,
        writeLog && log !== 'off' ? createRequestLog(writeLog, { format: log }) : undefined,
      ),
      onFailure: parts.failed('request'),
    }),
  );
  startJobs(configuration, { ...parts, storage, metrics, policy: compiled });
  return withEnd(server, health, undo.move());
}

/** Calls all of the functions that there are. */
function each<T>(...hooks: readonly (((value: T) => void) | undefined)[]): ((value: T) => void) | undefined {
  const there = hooks.filter((hook) => hook !== undefined);
  if (there.length === 0) return undefined;
  return (value) => {
    for (const hook of there) hook(value);
  };
}

const serverOptions = ({
  listen,
  tls,
  plainHttp,
  readOnly,
  deletable,
  limits,
  maxConnections,
  rateLimits,
  upstreams,
  mirrors,
  trustedProxies,
}: RegistryConfiguration): ServeOptions => ({
  listen,
  tls,
  plainHttp,
  readOnly,
  deletable,
  limits,
  maxConnections,
  trustedProxies,
  limiter: rateLimits && createRateLimiter(rateLimits),
  namespaces: upstreams && namespacesOf(upstreams),
  // A mirror of some platforms has indexes that name others.
  sparse: mirrors?.repositories.some(({ platforms }) => platforms !== undefined),
});

async function openServiceMetrics(
  { metrics }: RegistryConfiguration,
  storage: RegistryStorage,
  { undo, failed }: ServiceParts,
): Promise<Metrics | undefined> {
  if (metrics === false) return undefined;
  return undo.use(await openMetrics({ storage, onFailure: failed('metrics') }));
}

async function openCache(
  { upstreams, storage: where, spoolDir }: RegistryConfiguration,
  storage: RegistryStorage,
  { undo, failed, metrics }: ServiceParts & { readonly metrics: Metrics | undefined },
): Promise<RegistryStorage | CachingStorage> {
  if (upstreams === undefined) return storage;
  const dir = spoolDir ?? (where.rootDir === undefined ? undefined : join(where.rootDir, 'spool'));
  if (dir === undefined) {
    const why = 'add a directory, for what comes from upstreams and is not in the bucket yet';
    throw new RegistryConfigError('CONFIG_INVALID', `spoolDir: ${why}`, { option: 'spoolDir' });
  }
  const onEvent = ({ type }: CacheEvent): void => metrics?.onCache(CACHE_RESULTS[type]);
  return undo.use(await cacheUpstreams(storage, upstreams, { spoolDir: dir, onEvent, onFailure: failed('cache') }));
}

const CACHE_RESULTS: Readonly<Record<CacheEvent['type'], CacheResult>> = {
  hit: 'hit',
  revalidated: 'hit',
  stale: 'stale',
  fetched: 'miss',
  absent: 'miss',
  failed: 'miss',
};

/** Ends what runs beside the server when the server has ended. */
function withEnd(server: RegistryServer, health: Health, rest: AsyncDisposableStack): RegistryServer {
  let ended: Promise<void> | undefined;
  const end = async (options: Parameters<RegistryServer['close']>[0]): Promise<void> => {
    health.shutDown();
    await server.close(options);
    await rest.disposeAsync();
  };
  const close: RegistryServer['close'] = (options) => (ended ??= end(options));
  return { ...server, close, [Symbol.asyncDispose]: () => close() };
}
