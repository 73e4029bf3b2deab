import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

import type { ByteRange } from '../ranges.ts';
import type { StorageCall } from '../storage.ts';

/** How often a create is tried again that met another one of the same key. */
const CONFLICTS_MAX = 5;

/** An object as a list shows it. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** By the server's clock; some servers cut it to seconds. */
  readonly modifiedMs: number;
}

export interface ObjectFacts extends Omit<ListedObject, 'key'> {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface OpenObject extends ObjectFacts {
  readonly body: Readable;
}

export interface PutOptions extends StorageCall {
  readonly contentType?: string | undefined;
  readonly metadata?: Record<string, string> | undefined;
}

export interface ListOptions extends StorageCall {
  /** Keys behind this one. */
  readonly after?: string | undefined;
  /** Gives what comes before it, once, instead of the keys themselves. */
  readonly delimiter?: string | undefined;
  /** How many entries are asked for at once: 1 to 1000. */
  readonly pageEntries?: number | undefined;
}

/** Objects of one name that arrive in parts. */
export interface Multipart {
  readonly key: string;
  readonly uploadId: string;
}

export interface MultipartPart {
  readonly number: number;
  readonly etag: string;
}

export interface BucketOptions {
  readonly client: S3Client;
  /** Signs URLs for clients: the same server by the name that they know it by. */
  readonly signer: S3Client;
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
}

const aborting = (signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } =>
  signal === undefined ? {} : { abortSignal: signal };

const statusOf = (error: unknown): number | undefined =>
  (error as { readonly $metadata?: { readonly httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;

/** Does without what isn't there. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

const factsOf = (found: {
  readonly ContentLength?: number | undefined;
  readonly LastModified?: Date | undefined;
  readonly ContentType?: string | undefined;
  readonly Metadata?: Record<string, string> | undefined;
}): ObjectFacts => ({
  sizeBytes: found.ContentLength ?? 0,
  modifiedMs: found.LastModified?.getTime() ?? 0,
  contentType: found.ContentType ?? '',
  metadata: found.Metadata ?? {},
});

/** The few operations on objects that the storage is made of, with keys below one prefix of one bucket. */
export class Bucket {
  readonly #client: S3Client;
  readonly #signer: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  #isConditional = true;

  constructor({ client, signer, bucket, prefix }: BucketOptions) {
    this.#client = client;
    this.#signer = signer;
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` };
  }

  async stat(key: string, { signal }: StorageCall = {}): Promise<ObjectFacts | undefined> {
    const command = new HeadObjectCommand(this.#at(key));
    const found = await unlessMissing(this.#client.send(command, aborting(signal)));
    return found && factsOf(found);
  }

  /** Begins to read; the caller takes the body to its end or destroys it. */
  async open(key: string, range?: ByteRange, { signal }: StorageCall = {}): Promise<OpenObject | undefined> {
    const Range = range === undefined ? undefined : `bytes=${String(range.first)}-${String(range.last)}`;
    const command = new GetObjectCommand({ ...this.#at(key), Range });
    const found = await unlessMissing(this.#client.send(command, aborting(signal)));
    return found && { ...factsOf(found), body: found.Body as Readable };
  }

  /** All of a small object. */
  async read(key: string, call?: StorageCall): Promise<(ObjectFacts & { readonly bytes: Buffer }) | undefined> {
    const found = await this.open(key, undefined, call);
    if (found === undefined) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of found.body) chunks.push(chunk as Buffer);
    return { ...found, bytes: Buffer.concat(chunks) };
  }

  async put(key: string, bytes: Uint8Array | string, options: PutOptions = {}): Promise<void> {
    const { contentType = 'application/octet-stream', metadata, signal } = options;
    const command = new PutObjectCommand({
      ...this.#at(key),
      Body: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
      ContentType: contentType,
      Metadata: metadata,
    });
    await this.#client.send(command, aborting(signal));
  }

  /**
   * Makes an object if there is none, and tries whether the server tells the difference. What a server that doesn't would have
   * overwritten is put back.
   */
  async probeCreate(key: string, bytes: string): Promise<boolean> {
    const before = await this.read(key);
    try {
      if (before === undefined) await this.#createOnce(key, bytes);
      this.#isConditional = !(await this.#createOnce(key, bytes));
    } catch (error) {
      if (statusOf(error) !== 501) throw error;
      this.#isConditional = false;
      if (before === undefined) await this.put(key, bytes);
    }
    if (!this.#isConditional && before !== undefined) await this.put(key, before.bytes);
    return this.#isConditional;
  }

  /** Makes an object that isn't there yet. @returns false when it is, which a retry of our own may have brought about */
  async create(key: string, bytes: string): Promise<boolean> {
    if (this.#isConditional) return this.#createOnce(key, bytes);
    await this.put(key, bytes);
    return true;
  }

  async #createOnce(key: string, bytes: string): Promise<boolean> {
    const input = { ...this.#at(key), Body: Buffer.from(bytes), IfNoneMatch: '*' };
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#client.send(new PutObjectCommand(input));
        return true;
      } catch (error) {
        if (statusOf(error) === 412) return false;
        // Two creates at once, of which the server lets neither decide.
        if (statusOf(error) !== 409 || attempt === CONFLICTS_MAX) throw error;
        await sleep(20 * attempt);
      }
    }
  }

  /** Success also when there is nothing. */
  async remove(key: string): Promise<void> {
    await unlessMissing(this.#client.send(new DeleteObjectCommand(this.#at(key))));
  }

  /** Keys that begin with `prefix`, in byte order. */
  async *list(prefix: string, options: Omit<ListOptions, 'delimiter'> = {}): AsyncGenerator<ListedObject> {
    for await (const { Contents = [] } of this.#pages(prefix, options)) {
      for (const { Key = '', Size = 0, LastModified } of Contents) {
        yield { key: Key.slice(this.#prefix.length), sizeBytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
    }
  }

  /** What stands between `prefix` and the delimiter, each once, in byte order. */
  async *listNames(prefix: string, options: ListOptions & { readonly delimiter: string }): AsyncGenerator<string> {
    const skipped = this.#prefix.length + prefix.length;
    for await (const { CommonPrefixes = [] } of this.#pages(prefix, options)) {
      for (const { Prefix = '' } of CommonPrefixes) yield Prefix.slice(skipped, -options.delimiter.length);
    }
  }

  async *#pages(
    prefix: string,
    { after, delimiter, pageEntries, signal }: ListOptions,
  ): AsyncGenerator<ListObjectsV2CommandOutput> {
    let ContinuationToken: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: `${this.#prefix}${prefix}`,
        Delimiter: delimiter,
        StartAfter: after === undefined ? undefined : `${this.#prefix}${after}`,
        MaxKeys: pageEntries,
        ContinuationToken,
      });
      const page: ListObjectsV2CommandOutput = await this.#client.send(command, aborting(signal));
      yield page;
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
  }

  async beginMultipart(key: string): Promise<Multipart> {
    const command = new CreateMultipartUploadCommand({ ...this.#at(key), ContentType: 'application/octet-stream' });
    return { key, uploadId: (await this.#client.send(command)).UploadId ?? '' };
  }

  async putPart({ key, uploadId }: Multipart, number: number, bytes: Uint8Array): Promise<MultipartPart> {
    const input = { ...this.#at(key), UploadId: uploadId, PartNumber: number, Body: bytes };
    return { number, etag: (await this.#client.send(new UploadPartCommand(input))).ETag ?? '' };
  }

  /** A part that the server takes from another object by itself. */
  async copyPart({ key, uploadId }: Multipart, number: number, from: CopySource): Promise<MultipartPart> {
    const source = `${this.#bucket}/${this.#prefix}${from.key}`.split('/').map(encodeURIComponent).join('/');
    const command = new UploadPartCopyCommand({
      ...this.#at(key),
      UploadId: uploadId,
      PartNumber: number,
      CopySource: source,
      CopySourceRange: `bytes=${String(from.range.first)}-${String(from.range.last)}`,
    });
    return { number, etag: (await this.#client.send(command)).CopyPartResult?.ETag ?? '' };
  }

  async completeMultipart({ key, uploadId }: Multipart, parts: readonly MultipartPart[]): Promise<void> {
    const Parts = parts
      .toSorted((a, b) => a.number - b.number)
      .map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const input = { ...this.#at(key), UploadId: uploadId, MultipartUpload: { Parts } };
    await this.#client.send(new CompleteMultipartUploadCommand(input));
  }

  async abortMultipart({ key, uploadId }: Multipart): Promise<void> {
    await unlessMissing(this.#client.send(new AbortMultipartUploadCommand({ ...this.#at(key), UploadId: uploadId })));
  }

  /** What is arriving in parts below a prefix. */
  async *listMultiparts(prefix: string): AsyncGenerator<Multipart> {
    let marker: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const input = { Bucket: this.#bucket, Prefix: `${this.#prefix}${prefix}`, ...marker };
      const page = await this.#client.send(new ListMultipartUploadsCommand(input));
      for (const { Key = '', UploadId = '' } of page.Uploads ?? []) {
        yield { key: Key.slice(this.#prefix.length), uploadId: UploadId };
      }
      if (page.IsTruncated !== true) return;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  /** A URL that anybody can read an object by, for some seconds. */
  async signedUrl(key: string, expiresInSeconds: number): Promise<URL> {
    const command = new GetObjectCommand({ ...this.#at(key), ResponseContentType: 'application/octet-stream' });
    return new URL(await getSignedUrl(this.#signer, command, { expiresIn: expiresInSeconds }));
  }
}

export interface CopySource {
  readonly key: string;
  readonly range: ByteRange;
}
