import type { Algorithm, Digest } from './names.ts';
import type { Page, PageRequest } from './pagination.ts';
import type { ByteRange } from './ranges.ts';

/**
 * The words of storage. A *blob* is bytes with a digest, kept once however many repositories have it. A repository *has* a
 * blob when it was pushed or mounted there: a client of one repository can't read what only another one has. A *manifest* is
 * a blob with a media type that others refer to; a *tag* is a name for one. An *upload* is a blob that is still arriving.
 *
 * The promises, for every implementation. What a method has acknowledged survives a crash of process and machine. What it
 * has not, leaves nothing that a reader can see. Digests are verified while the bytes arrive: nothing can be read under a
 * digest that it doesn't have. Several processes may use the same storage. Names, tags and digests are valid when they get
 * here; an implementation must still never build a path from them that leaves its root.
 *
 * Errors: {@link RegistryError} with the code of the specification; anything else is the storage's own failure, a 500.
 */
export interface RegistryStorage extends BlobReader, BlobWriter, ManifestStorage, TagStorage {}

/** Reads blobs. */
export interface BlobReader {
  /**
   * The size of a blob in a repository.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN`
   */
  statBlob(name: string, digest: Digest, options?: StorageCall): Promise<BlobInfo>;
  /**
   * Opens a blob, or a range of it, for reading. The caller reads the stream to its end or cancels it.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN`
   */
  openBlob(name: string, digest: Digest, options?: OpenBlobOptions): Promise<ReadableStream<Uint8Array>>;
}

/** Writes blobs, in pieces that may come from several processes. */
export interface BlobWriter {
  /** Begins an upload and returns its id: unguessable, of `[A-Za-z0-9_-]`. It expires when nothing arrives for long. */
  startUpload(name: string, algorithm: Algorithm, options?: StorageCall): Promise<string>;
  /**
   * Bytes that have arrived, and are safe.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`: never begun, finished, cancelled or expired
   */
  uploadedBytes(upload: Upload, options?: StorageCall): Promise<number>;
  /**
   * Appends to an upload at `offset`, and returns what has arrived in all. Two writers at one offset: one of them loses.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`; status 416: `offset` is not where the upload ends
   */
  appendUpload(upload: Upload, chunk: UploadChunk, options?: StorageCall): Promise<number>;
  /**
   * Makes a blob of an upload. After a failed check the upload is gone, after any other failure it can be tried again.
   *
   * @throws {@link RegistryError} `DIGEST_INVALID`: the bytes have another digest; `BLOB_UPLOAD_UNKNOWN`
   */
  finishUpload(upload: Upload, digest: Digest, options?: StorageCall): Promise<BlobInfo>;
  /** Forgets an upload. @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  cancelUpload(upload: Upload, options?: StorageCall): Promise<void>;
  /**
   * Gives a repository a blob of another one, without a copy. False when `from` doesn't have it: the client then uploads.
   */
  mountBlob(name: string, digest: Digest, options: MountOptions): Promise<boolean>;
  /** Takes a blob from a repository. @throws {@link RegistryError} `BLOB_UNKNOWN`, `DENIED`: a manifest there needs it */
  deleteBlob(name: string, digest: Digest, options?: StorageCall): Promise<void>;
}

/** Manifests and what refers to them. */
export interface ManifestStorage {
  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN`, `NAME_UNKNOWN` */
  readManifest(name: string, digest: Digest, options?: StorageCall): Promise<StoredManifest>;
  /**
   * Stores a manifest, its tags and its place among the referrers of its subject: all of it or nothing. The same manifest
   * again is a success.
   */
  writeManifest(name: string, manifest: NewManifest, options?: StorageCall): Promise<void>;
  /** Removes a manifest with its tags. @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  deleteManifest(name: string, digest: Digest, options?: StorageCall): Promise<void>;
  /** The manifests whose subject is `digest`, by digest; none is an empty list, also for an unknown subject. */
  listReferrers(name: string, digest: Digest, options?: StorageCall): Promise<readonly Referrer[]>;
}

/** Tags, and the list of repositories. */
export interface TagStorage {
  /** @throws {@link RegistryError} `MANIFEST_UNKNOWN`, `NAME_UNKNOWN` */
  resolveTag(name: string, tag: string, options?: StorageCall): Promise<Digest>;
  /** Removes a tag and leaves its manifest. @throws {@link RegistryError} `MANIFEST_UNKNOWN` */
  deleteTag(name: string, tag: string, options?: StorageCall): Promise<void>;
  /** Tags in byte order. @throws {@link RegistryError} `NAME_UNKNOWN` */
  listTags(name: string, page: PageRequest, options?: StorageCall): Promise<Page<string>>;
  /** Names of repositories that have a manifest, in byte order. */
  listRepositories(page: PageRequest, options?: StorageCall): Promise<Page<string>>;
}

export interface StorageCall {
  readonly signal?: AbortSignal | undefined;
}

export interface OpenBlobOptions extends StorageCall {
  /** Must lie inside the blob. */
  readonly range?: ByteRange | undefined;
}

export interface MountOptions extends StorageCall {
  /** The repository that has the blob; undefined lets the storage look in all that the client may read. */
  readonly from: readonly string[] | undefined;
}

export interface BlobInfo {
  readonly sizeBytes: number;
}

/** An upload belongs to the repository that it was begun in. */
export interface Upload {
  readonly name: string;
  readonly id: string;
}

export interface UploadChunk {
  readonly offset: number;
  readonly body: ReadableStream<Uint8Array>;
}

export interface StoredManifest {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface NewManifest extends StoredManifest {
  /** Already verified against the bytes. */
  readonly digest: Digest;
  readonly tags: readonly string[];
  readonly subject: Digest | undefined;
  readonly referrer: Referrer | undefined;
}

/** One entry of a referrers list: a descriptor of the OCI image specification. */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly artifactType: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}
