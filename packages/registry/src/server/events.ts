import type { Digest } from '../names.ts';
import type { RegistryErrorCode } from '../errors.ts';

/** Something happened to a repository; told after it is done. */
export type RegistryEvent = EventOrigin & EventSubject;

export type EventSubject =
  | {
      readonly type: 'push' | 'pull';
      readonly object: 'manifest';
      readonly name: string;
      readonly digest: Digest;
      readonly mediaType: string;
      readonly sizeBytes: number;
      /** Those that it was pushed or pulled by. */
      readonly tags: readonly string[];
    }
  | { readonly type: 'delete'; readonly object: 'manifest'; readonly name: string; readonly digest: Digest }
  | { readonly type: 'delete'; readonly object: 'tag'; readonly name: string; readonly tag: string }
  | {
      readonly type: 'push' | 'pull';
      readonly object: 'blob';
      readonly name: string;
      readonly digest: Digest;
      readonly sizeBytes: number;
    }
  | { readonly type: 'mount' | 'delete'; readonly object: 'blob'; readonly name: string; readonly digest: Digest };

/** Where something comes from: the request that it happened in. */
export interface EventOrigin {
  readonly requestId: string;
  /** When it is told, in milliseconds since the epoch. */
  readonly atMs: number;
  readonly account: string | undefined;
  /** The client's, behind proxies that are trusted. */
  readonly address: string | undefined;
  readonly method: string;
  /** What the client calls us: its `Host`. */
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
}

/** A request of the distribution API that is let in. */
export interface AdmittedRequest {
  readonly requestId: string;
  /** A route's type. */
  readonly route: string;
}

/** One request and its answer; told when the answer is sent or broken off. */
export interface RequestRecord extends EventOrigin {
  /**
   * Path as it arrived, with the query where that is one of the distribution API; a value that the API has no use for is
   * `***` then, and so is whatever stands in front of the path.
   */
  readonly url: string;
  /** A route's type or an endpoint's path, so that there are few of them; undefined: it was none. */
  readonly route: string | undefined;
  readonly name: string | undefined;
  /** 499 when the client went away before there was an answer. */
  readonly status: number;
  /** Whether all of the answer left; a client that goes away in the middle of one has had its status. */
  readonly complete: boolean;
  readonly errorCode: RegistryErrorCode | undefined;
  readonly durationMs: number;
  /** Bytes of the socket since its request before: headers too. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}
