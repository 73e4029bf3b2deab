import { checkAccessOptions } from '../access/checked-options.ts';
import { anyText, atLeast, fieldsOf, flag, listOf, mapOf, oneOf, refuse, text } from '../option-checks.ts';
import type { Check } from '../option-checks.ts';
import type { AccessOptions } from '../access/options.ts';
import { parseRetention } from '../maintenance/retention-rules.ts';
import type { RetentionRule } from '../maintenance/retention-rules.ts';
import type { RateLimits } from '../operation/rate-limiter.ts';
import type { Rate } from '../operation/token-buckets.ts';
import type { WebhookTarget } from '../operation/webhook-options.ts';
import { parsePolicy } from '../policy/rules.ts';
import type { PolicyRule } from '../policy/rules.ts';
import type { S3StorageOptions } from '../s3/storage.ts';
import type { RegistryLimits } from '../server/context.ts';
import type { TlsOptions } from '../server/tls.ts';
import { mirror, upstream } from './upstream-checks.ts';
import type { Mirror, Upstream } from '../upstream/options.ts';

/** Where a registry keeps everything: one of the two. */
export interface StorageConfiguration {
  /** Made when it isn't there. */
  readonly rootDir?: string | undefined;
  readonly s3?: S3StorageOptions | undefined;
}

/** Something that is done again and again. */
export interface Periodic {
  /** From the end of one time to the beginning of the next. */
  readonly everyMs: number;
}

/** A whole registry as plain data, with all that runs beside it. What is left out is off, unless it says otherwise. */
export interface RegistryConfiguration {
  readonly storage: StorageConfiguration;
  /** Default `127.0.0.1:5000`. */
  readonly listen?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Allows plain HTTP beyond loopback. */
  readonly plainHttp?: boolean | undefined;
  readonly access?: AccessOptions | undefined;
  /** Refuses everything that changes something. */
  readonly readOnly?: boolean | undefined;
  /** Default true. */
  readonly deletable?: boolean | undefined;
  readonly limits?: Partial<RegistryLimits> | undefined;
  readonly maxConnections?: number | undefined;
  readonly rateLimits?: RateLimits | undefined;
  /** Addresses and networks of proxies that say truly who they pass requests on for. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Immutable tags and quotas. */
  readonly policy?: readonly PolicyRule[] | undefined;
  /** Default: hourly, with a day of grace. */
  readonly garbage?: (Periodic & { readonly graceMs: number }) | undefined;
  readonly retention?: (Periodic & { readonly rules: readonly RetentionRule[] }) | undefined;
  /** Reads all that is stored and compares. */
  readonly scrub?: (Periodic & { readonly bytesPerSecond?: number | undefined }) | undefined;
  /** Other registries that are cached here. */
  readonly upstreams?: readonly Upstream[] | undefined;
  /** Where what comes from upstreams waits for its end. Default: below `storage.rootDir`. */
  readonly spoolDir?: string | undefined;
  /** What isn't pulled for so long goes from the cache. Default: nothing does. */
  readonly evict?: (Periodic & { readonly maxIdleMs: number }) | undefined;
  readonly mirrors?: (Periodic & { readonly repositories: readonly Mirror[] }) | undefined;
  readonly webhooks?:
    { readonly targets: readonly WebhookTarget[]; readonly spoolDir?: string | undefined } | undefined;
  /** `/metrics`, for programs on this machine and for accounts. Default true. */
  readonly metrics?: boolean | undefined;
  /** The page to look through it. Default true. */
  readonly page?: boolean | undefined;
  /** How requests are written down. Default `json`. */
  readonly log?: 'json' | 'text' | 'off' | undefined;
}

const s3 = fieldsOf<S3StorageOptions>(
  {
    bucket: text,
    prefix: anyText,
    endpoint: text,
    region: text,
    forcePathStyle: flag,
    credentials: fieldsOf({ accessKeyId: text, secretAccessKey: text, sessionToken: text }, ['sessionToken']),
    redirect: flag,
    redirectEndpoint: text,
    redirectSeconds: atLeast(1),
    partBytes: atLeast(5 * 1024 * 1024),
    takeoverMs: atLeast(1),
  },
  [
    ...(['prefix', 'endpoint', 'region', 'forcePathStyle', 'credentials', 'redirect', 'redirectEndpoint'] as const),
    ...(['redirectSeconds', 'partBytes', 'takeoverMs'] as const),
  ],
);

const storage: Check<StorageConfiguration> = (value, option) => {
  const fields = fieldsOf<StorageConfiguration>({ rootDir: text, s3 }, ['rootDir', 's3'])(value, option);
  if ((fields.rootDir === undefined) === (fields.s3 === undefined)) refuse(option, 'either rootDir or s3', value);
  return fields;
};

const tls = fieldsOf<TlsOptions>(
  {
    certFile: text,
    keyFile: text,
    clientCaFile: text,
    clientCrlFile: text,
    clientCertificates: oneOf('required', 'optional'),
    minVersion: oneOf('TLSv1.2', 'TLSv1.3'),
  },
  ['clientCaFile', 'clientCrlFile', 'clientCertificates', 'minVersion'],
);

const rate = fieldsOf<Rate>({ requests: atLeast(1), perSeconds: atLeast(1) }, []);
const rateLimits = fieldsOf<RateLimits>(
  {
    perAddress: rate,
    perAccount: rate,
    pulls: rate,
    pushes: rate,
    concurrentPerAddress: atLeast(1),
    trackedMax: atLeast(1),
  },
  ['perAddress', 'perAccount', 'pulls', 'pushes', 'concurrentPerAddress', 'trackedMax'],
);

const webhook = fieldsOf<WebhookTarget>(
  {
    url: text,
    events: listOf(oneOf('push', 'pull', 'delete', 'mount')),
    objects: listOf(oneOf('manifest', 'tag', 'blob')),
    repositories: listOf(text),
    headers: mapOf(anyText),
    secret: text,
    timeoutMs: atLeast(1),
    retryMs: atLeast(1),
    queueMax: atLeast(1),
  },
  ['events', 'objects', 'repositories', 'headers', 'secret', 'timeoutMs', 'retryMs', 'queueMax'],
);

const everyMs = atLeast(1000);

const optional = {
  listen: text,
  tls,
  plainHttp: flag,
  access: (value) => checkAccessOptions(value),
  readOnly: flag,
  deletable: flag,
  limits: fieldsOf<Partial<RegistryLimits>>(
    {
      stallTimeoutMs: atLeast(1),
      minBytesPerSecond: atLeast(0),
      manifestMaxBytes: atLeast(1),
      blobMaxBytes: atLeast(1),
      pageMaxEntries: atLeast(1),
    },
    ['stallTimeoutMs', 'minBytesPerSecond', 'manifestMaxBytes', 'blobMaxBytes', 'pageMaxEntries'],
  ),
  maxConnections: atLeast(1),
  rateLimits,
  trustedProxies: listOf(text),
  policy: parsePolicy,
  garbage: fieldsOf({ everyMs, graceMs: atLeast(0) }, []),
  retention: fieldsOf({ everyMs, rules: parseRetention }, []),
  scrub: fieldsOf({ everyMs, bytesPerSecond: atLeast(1) }, ['bytesPerSecond']),
  upstreams: listOf(upstream),
  spoolDir: text,
  evict: fieldsOf({ everyMs, maxIdleMs: atLeast(1) }, []),
  mirrors: fieldsOf({ everyMs, repositories: listOf(mirror) }, []),
  webhooks: fieldsOf({ targets: listOf(webhook), spoolDir: text }, ['spoolDir']),
  metrics: flag,
  page: flag,
  log: oneOf('json', 'text', 'off'),
} satisfies Record<Exclude<keyof RegistryConfiguration, 'storage'>, Check<unknown>>;

/**
 * Checks a configuration that came as plain data.
 *
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`: which option, and what it must be
 */
export const checkConfiguration = (value: unknown): RegistryConfiguration =>
  fieldsOf<RegistryConfiguration>({ storage, ...optional }, Object.keys(optional) as (keyof typeof optional)[])(
    value,
    'configuration',
  );
