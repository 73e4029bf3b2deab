import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';

import type { RegistryStorage } from '../storage.ts';
import { Asked, findContent, mountBlob, openBlob, statBlob } from './blobs.ts';
import { Bucket } from './bucket.ts';
import { cutoffOf, serverNowMs } from './clock.ts';
import { PART_MIN_BYTES } from './composition.ts';
import { collectGarbage } from './garbage.ts';
import { listBlobs, listContents, listManifests, listTagEntries } from './inventory.ts';
import { contentKey, VERSION_KEY } from './layout.ts';
import { deleteManifest, listReferrers, readManifest, statManifest, writeManifest } from './manifests.ts';
import { Needs } from './needs.ts';
import { blobUnknown, removeReferences } from './references.ts';
import { deleteTag, listRepositories, listTags, resolveTag } from './tags.ts';
import { Uploads } from './uploads.ts';
import { verifyContent, verifyManifest } from './verify.ts';

const VERSION = 1;
const TAKEOVER_MS = 5000;
const PART_BYTES = 8 * 1024 * 1024;
const REDIRECT_SECONDS = 900;
/** Readers that are slow hold a connection each. */
const SOCKETS_MAX = 1000;
const CONNECT_TIMEOUT_MS = 10_000;

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface S3StorageOptions {
  readonly bucket: string;
  /** What all keys begin with: several registries can share a bucket. Default: nothing. */
  readonly prefix?: string | undefined;
  /** URL of a server other than AWS: `http://127.0.0.1:9000`. */
  readonly endpoint?: string | undefined;
  /** Default: what the SDK finds in its configuration, and `us-east-1` at an endpoint. */
  readonly region?: string | undefined;
  /** Names the bucket in the path instead of the host, as most servers other than AWS want it. Default: with an endpoint. */
  readonly forcePathStyle?: boolean | undefined;
  /** Default: where the SDK looks for them (environment, shared files, role of the machine). */
  readonly credentials?: S3Credentials | undefined;
  /** Sends clients that read a blob to the object storage itself. Default false. */
  readonly redirect?: boolean | undefined;
  /** The endpoint as clients know it, when they know it by another name. */
  readonly redirectEndpoint?: string | undefined;
  /** How long a client has to begin, in seconds. Default 900. */
  readonly redirectSeconds?: number | undefined;
  /** Size of a part of a large object, at least 5 MiB; an upload has three of them in memory. Default 8 MiB. */
  readonly partBytes?: number | undefined;
  /** After this long without a sign of life, another process may go on with an upload. Default 5000. */
  readonly takeoverMs?: number | undefined;
}

/**
 * Opens a registry's storage in a bucket, which must be there. Any number of processes may have it open, and need nothing
 * else in common.
 *
 * ```
 * contents/<upload>.<piece>                               bytes, as they were uploaded
 * blobs/sha256/<hex>/<name>!r.<size>.<content>.<random>   a repository has these bytes as this blob: a reference
 * links/<name>!sha256/<hex>/<size>.<content>.<random>     the same, to be found by the repository
 * manifests/<name>!sha256/<hex>                           manifests; their type is the object's
 * tags/<name>!<tag>                                       the digest
 * referrers/<name>!sha256/<hex>/sha256-<hex>              descriptors, below the digest of their subject
 * uploads/<id>/<number>                                   records of what is not finished
 * ```
 *
 * Every change that others see is the making or removing of one object. The server must give what was written to whoever reads
 * or lists after it. Where it also makes an object only if there is none (`If-None-Match: *`), tags can be immutable, and two
 * who write to one upload don't get in each other's way; where it doesn't, the digest shows it, and the client pushes again.
 *
 * @throws Error: no such bucket, no right to it, no connection; its layout is of another version
 * @remarks Privilege: to read, write, delete and list objects, and to list and abort multipart uploads.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
 */
export async function openS3Storage(options: S3StorageOptions): Promise<RegistryStorage> {
  const { redirect = false, redirectSeconds = REDIRECT_SECONDS, partBytes = PART_BYTES } = options;
  if (!Number.isSafeInteger(partBytes) || partBytes < PART_MIN_BYTES) {
    throw new RangeError(`partBytes is ${String(partBytes)}: a part has at least ${String(PART_MIN_BYTES)}`);
  }
  const { bucket, conditional, close } = await openBucket(options);
  const uploads = new Uploads({ bucket, partBytes, conditional, takeoverMs: options.takeoverMs ?? TAKEOVER_MS });
  const asked = new Asked();
  const needs = new Needs();
  return {
    statBlob: (name, digest, call) => statBlob({ bucket, asked }, { name, digest }, call),
    openBlob: (name, digest, call) => openBlob(bucket, { name, digest }, call),
    blobUrl: async (name, digest, call) => {
      if (!redirect) return undefined;
      const { id } = await findContent(bucket, { name, digest }, call);
      return bucket.signedUrl(contentKey(id), redirectSeconds);
    },
    startUpload: (name, algorithm) => uploads.start(name, algorithm),
    uploadedBytes: (upload) => uploads.sizeBytes(upload),
    appendUpload: (upload, chunk, call) => uploads.append(upload, chunk, call),
    finishUpload: (upload, digest, call) => uploads.finish(upload, digest, call),
    cancelUpload: (upload) => uploads.cancel(upload),
    mountBlob: (name, digest, { from }) => mountBlob(bucket, { name, digest }, from),
    deleteBlob: async (name, digest) => {
      if (!(await removeReferences(bucket, { name, digest }))) throw blobUnknown(digest);
    },
    statManifest: async (name, digest, call) => {
      const { mediaType, sizeBytes } = await statManifest(bucket, { name, digest }, call);
      return { mediaType, sizeBytes };
    },
    readManifest: (name, digest, call) => readManifest(bucket, { name, digest }, call),
    writeManifest: (name, manifest) => writeManifest({ bucket, conditional }, name, manifest),
    deleteManifest: (name, digest) => deleteManifest(bucket, { name, digest }),
    listReferrers: (name, digest) => listReferrers(bucket, { name, digest }),
    resolveTag: (name, tag, call) => resolveTag(bucket, { name, tag }, call),
    deleteTag: (name, tag) => deleteTag(bucket, name, tag),
    listTags: (name, page, call) => listTags(bucket, name, { ...page, ...call }),
    listRepositories: (page, call) => listRepositories(bucket, { ...page, ...call }),
    listManifests: (name, call) => listManifests(bucket, name, call),
    listTagEntries: (name, call) => listTagEntries(bucket, name, call),
    listBlobs: (name, call) => listBlobs(bucket, name, call),
    listContents: (call) => listContents(bucket, call),
    verifyContent: (digest, verifyOptions) => verifyContent(bucket, digest, verifyOptions),
    verifyManifest: (name, digest, call) => verifyManifest(bucket, { name, digest }, call),
    removeStaleUploads: async (maxAgeMs) => uploads.removeStale(cutoffOf(await serverNowMs(bucket), maxAgeMs)),
    collectGarbage: (graceMs, { signal } = {}) => collectGarbage({ bucket, uploads, needs, graceMs, signal }),
    [Symbol.asyncDispose]: () => {
      close();
      return Promise.resolve();
    },
  };
}

interface OpenedBucket {
  readonly bucket: Bucket;
  /** Whether the server makes an object only where none is. */
  readonly conditional: boolean;
  readonly close: () => void;
}

async function openBucket(options: S3StorageOptions): Promise<OpenedBucket> {
  const client = new S3Client(clientConfig(options, options.endpoint));
  const signer = new S3Client(clientConfig(options, options.redirectEndpoint ?? options.endpoint));
  const close = (): void => {
    client.destroy();
    signer.destroy();
  };
  const prefix = (options.prefix ?? '').replace(/(?<=[^/])$/, '/');
  const bucket = new Bucket({ client, signer, bucket: options.bucket, prefix });
  try {
    return { bucket, conditional: await prepare(bucket), close };
  } catch (error) {
    close();
    const why = Error.isError(error) ? `${error.name}: ${error.message}` : String(error);
    throw new Error(`cannot open the bucket ${options.bucket}: ${why}`, { cause: error });
  }
}

function clientConfig(options: S3StorageOptions, endpoint: string | undefined): S3ClientConfig {
  const region = options.region ?? (endpoint === undefined ? undefined : 'us-east-1');
  const { accessKeyId, secretAccessKey, sessionToken } = options.credentials ?? {};
  const credentials = accessKeyId !== undefined && secretAccessKey !== undefined;
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials
      ? { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }
      : {}),
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    // Checksums of the newer kind are refused by older servers; the signature covers the bytes, and we have their digest.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: { maxSockets: SOCKETS_MAX },
      httpsAgent: { maxSockets: SOCKETS_MAX },
    },
  };
}

/** @returns whether the server makes an object only where none is */
async function prepare(bucket: Bucket): Promise<boolean> {
  const conditional = await bucket.probeCreate(VERSION_KEY, `${JSON.stringify({ version: VERSION })}\n`);
  const found = await bucket.read(VERSION_KEY);
  const { version } = JSON.parse(found?.bytes.toString() ?? '{}') as { readonly version?: unknown };
  if (version !== VERSION) throw new Error(`its layout is of version ${String(version)}`);
  return conditional;
}
