export { EVERYBODY } from './access/access.ts';
export type { AccessControl, Action, Identity, Need } from './access/access.ts';
export { needsOf } from './access/needs.ts';
export { openAccessControl } from './access/open.ts';
export type { OpenAccess } from './access/open.ts';
export type {
  AccessOptions,
  AccessRule,
  AccountOptions,
  ClientCertificateOptions,
  DelegatedTokenOptions,
  OidcOptions,
  OpenAccessOptions,
  TokenOptions,
} from './access/options.ts';
export { checkConfiguration } from './configuration/configuration.ts';
export type { Periodic, RegistryConfiguration, StorageConfiguration } from './configuration/configuration.ts';
export { readConfiguration } from './configuration/file.ts';
export { openConfiguredStorage, runRegistry } from './configuration/service.ts';
export type { ServiceNote, ServiceOptions } from './configuration/service.ts';
export { errorBody, isRegistryConfigError, isRegistryError, RegistryConfigError, RegistryError } from './errors.ts';
export type {
  ErrorBody,
  RegistryConfigErrorCode,
  RegistryConfigErrorDetails,
  RegistryErrorCode,
  RegistryErrorDetails,
} from './errors.ts';
export { openFileSystemStorage } from './filesystem/storage.ts';
export type { FileSystemStorageOptions } from './filesystem/storage.ts';
export { planRetention } from './maintenance/retention-plan.ts';
export type {
  InventoryManifest,
  InventoryTag,
  RemovedManifest,
  RemovedTag,
  RepositoryInventory,
  RetentionPlan,
} from './maintenance/retention-plan.ts';
export { parseRetention } from './maintenance/retention-rules.ts';
export type { RetentionRule } from './maintenance/retention-rules.ts';
export { applyRetention } from './maintenance/retention.ts';
export type { RetentionOptions, RetentionReport } from './maintenance/retention.ts';
export { scheduleMaintenance } from './maintenance/schedule.ts';
export type { MaintenanceJob, MaintenanceOptions, MaintenanceReport } from './maintenance/schedule.ts';
export { scrubStorage } from './maintenance/scrub.ts';
export type { ScrubFinding, ScrubOptions, ScrubProgress, ScrubReport } from './maintenance/scrub.ts';
export { isDigest, isName, isTag, parseDigest, parseManifestReference, parseName } from './names.ts';
export type { Algorithm, Digest, ManifestReference } from './names.ts';
export { pageEndpoints } from './page/endpoints.ts';
export type { PageOptions } from './page/endpoints.ts';
export { compareBytes, formatNextLink, parsePage, takePage } from './pagination.ts';
export type { Page, PageRequest } from './pagination.ts';
export { checkChunkFollows, formatReceived, parseChunkRange, parseRange } from './ranges.ts';
export type { ByteRange } from './ranges.ts';
export { createHealth } from './operation/health.ts';
export type { Health, HealthOptions } from './operation/health.ts';
export { metricsEndpoint } from './operation/metrics-endpoint.ts';
export type { MetricsEndpointOptions } from './operation/metrics-endpoint.ts';
export { openMetrics } from './operation/metrics.ts';
export type { CacheResult, Metrics, MetricsOptions } from './operation/metrics.ts';
export { createRateLimiter } from './operation/rate-limiter.ts';
export type { RateLimits } from './operation/rate-limiter.ts';
export { createRequestLog } from './operation/request-log.ts';
export type { RequestLogOptions } from './operation/request-log.ts';
export type { Rate } from './operation/token-buckets.ts';
export type { WebhookOptions, Webhooks, WebhookState, WebhookTarget } from './operation/webhook-options.ts';
export { openWebhooks } from './operation/webhooks.ts';
export { guardStorage } from './policy/guard.ts';
export type { RepositoryPolicy } from './policy/policy.ts';
export { openPolicy, parsePolicy } from './policy/rules.ts';
export type { PolicyRule } from './policy/rules.ts';
export { parseRoute } from './routes.ts';
export type { Route } from './routes.ts';
export type { RegistryLimits } from './server/context.ts';
export type { Endpoint, EndpointExchange } from './server/endpoint.ts';
export type { AdmittedRequest, EventOrigin, EventSubject, RegistryEvent, RequestRecord } from './server/events.ts';
export type { AskingRequest, RequestLimiter } from './server/limiter.ts';
export { createRegistry } from './server/registry.ts';
export type { Registry, RegistryOptions } from './server/registry.ts';
export { serveRegistry } from './server/serve.ts';
export type { RegistryServer, ServeOptions } from './server/serve.ts';
export type { TlsOptions } from './server/tls.ts';
export type {
  BlobInfo,
  BlobReader,
  BlobWriter,
  ContentEntry,
  ContentState,
  GarbageReport,
  GarbageStorage,
  InventoryStorage,
  ManifestEntry,
  ManifestInfo,
  ManifestStorage,
  MountOptions,
  NewManifest,
  OpenBlob,
  Referrer,
  RegistryStorage,
  StorageCall,
  StoredManifest,
  TagEntry,
  TagStorage,
  UnreadableManifest,
  Upload,
  UploadChunk,
  VerifyOptions,
} from './storage.ts';
export type {
  CacheEvent,
  CacheOptions,
  CopyEvent,
  CopyFailure,
  CopyReport,
  EvictOptions,
  EvictReport,
  Mirror,
  Selection,
  Upstream,
  UpstreamRegistry,
} from './upstream/options.ts';
export { cacheUpstreams, namespacesOf } from './upstream/cache.ts';
export type { CachingStorage } from './upstream/cache.ts';
export { withCacheHeaders } from './upstream/requests.ts';
export { copyReference, copyRepository } from './upstream/copy.ts';
export type { CopyDestination, CopyOptions, CopySource } from './upstream/copy.ts';
export { mirror, scheduleMirrors } from './upstream/mirror.ts';
export type { MirrorSchedule, ScheduleOptions } from './upstream/mirror.ts';
