import type { Credential, ProxyOptions, RegistryHost } from '@tsc/image';

import type { Digest } from '../names.ts';

/** Another registry, and how to speak with it. Plain data, as a configuration has it. */
export interface UpstreamRegistry {
  /** Host and port, as references name it: `docker.io`, `registry.example:5000`. */
  readonly registry: string;
  /** Who we are there. Default: anonymous. Clients' own credentials are never passed on. */
  readonly credential?: Credential | undefined;
  /** TLS, plain HTTP, headers, token hosts and mirrors of it, as {@link RegistryHost} has them. */
  readonly host?: RegistryHost | undefined;
  readonly proxy?: ProxyOptions | undefined;
}

/** A registry whose content is fetched when somebody asks for it, and kept. */
export interface Upstream extends UpstreamRegistry {
  /**
   * What names begin with here: `docker.io` makes `docker.io/library/alpine` of its `library/alpine`. Of several that fit a
   * name, the longest has it. An empty one takes all names that no other has, so that nothing can be pushed any more.
   */
  readonly prefix: string;
  /** What names begin with there: `mirrors/hub` for `mirrors/hub/library/alpine`. Default: nothing. */
  readonly remotePrefix?: string | undefined;
  /** The value of `?ns=` that means this upstream. Default: `registry`. */
  readonly namespace?: string | undefined;
  /** Patterns of names there that may be asked for, with `*` and `**`. Default: all. */
  readonly allow?: readonly string[] | undefined;
  /** Patterns of names there that may not, whatever `allow` says. Default: none. */
  readonly deny?: readonly string[] | undefined;
  /** How long the answer for a tag or a list counts as fresh, so that upstream isn't asked. Default: five minutes. */
  readonly tagTtlMs?: number | undefined;
  /** How long it is remembered that something isn't there. Default: ten seconds. */
  readonly absentTtlMs?: number | undefined;
  /** The longest wait for a manifest, for a list, and for the first byte of a blob. Default: ten seconds. */
  readonly answerTimeoutMs?: number | undefined;
  /** How long upstream isn't asked for what we have, after it was found to be away. Default: fifteen seconds. */
  readonly awayMs?: number | undefined;
  /**
   * What becomes of a blob's download when its last client goes away: it goes on (`finish`), goes on when half of the blob has
   * come (`finish-half`), or ends (`stop`). Default: `finish-half`.
   */
  readonly abandoned?: 'finish' | 'finish-half' | 'stop' | undefined;
}

export interface CacheOptions {
  /**
   * A directory for blobs that are on their way, made when it isn't there. Their files have no names, so a process that is
   * killed leaves nothing.
   */
  readonly spoolDir: string;
  /** A range that begins so far behind what has come is fetched by itself meanwhile. Default: 64 MiB. */
  readonly skipAheadBytes?: number | undefined;
  /** Is told what the cache does. It must not throw. */
  readonly onEvent?: ((event: CacheEvent) => void) | undefined;
  /** What went wrong beside the answers: content that couldn't be stored. It must not throw. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
}

/** What the cache did for one request. */
export interface CacheEvent {
  /**
   * `hit`: answered from here; `fetched`: from upstream; `revalidated`: from here, after upstream said that it is the same;
   * `stale`: from here, because upstream is away; `absent`: upstream hasn't got it; `failed`: neither could answer.
   */
  readonly type: 'hit' | 'fetched' | 'revalidated' | 'stale' | 'absent' | 'failed';
  readonly object: 'tag' | 'manifest' | 'blob' | 'list';
  /** The prefix of the upstream. */
  readonly upstream: string;
  readonly name: string;
  /** Bytes of the content, where it is known. */
  readonly sizeBytes: number | undefined;
  /** Of `stale` and `failed`. */
  readonly cause: unknown;
}

export interface EvictOptions {
  /** Cached manifests that nobody pulled for so long go; those that one needs which stays, stay with it. */
  readonly maxIdleMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface EvictReport {
  /** Their blobs go with the next garbage collection. */
  readonly evictedManifests: number;
}

/** What to copy of a repository. */
export interface Selection {
  /** Patterns of tags, with `*`: `['1.*', 'latest']`. Default: all. */
  readonly tags?: readonly string[] | undefined;
  /**
   * Of an index only the members for these: `['linux/amd64', 'linux/arm64']`. The index keeps its bytes, and names members
   * that aren't there. Default: all.
   */
  readonly platforms?: readonly string[] | undefined;
  /** Whether signatures, SBOMs and whatever else refers to a copied manifest come along. Default: true. */
  readonly referrers?: boolean | undefined;
  /** Whether tags that fit `tags` and aren't in the source are removed. Default: false. */
  readonly deleteExtra?: boolean | undefined;
}

/** One repository of another registry that is copied to here. Plain data, as a configuration has it. */
export interface Mirror extends Selection {
  readonly upstream: UpstreamRegistry;
  /** Its name there: `library/alpine`. */
  readonly repository: string;
  /** Its name here. */
  readonly to: string;
}

/** What a copy has changed. */
export interface CopyReport {
  /** Made or moved. */
  readonly copiedTags: readonly string[];
  readonly unchangedTags: readonly string[];
  readonly removedTags: readonly string[];
  /** What couldn't be copied; everything else was. */
  readonly failures: readonly CopyFailure[];
  /** Those that were missing. */
  readonly manifests: number;
  readonly blobs: number;
  readonly blobBytes: number;
}

export interface CopyFailure {
  readonly tag: string;
  readonly cause: unknown;
}

/** What happens during a copy; the last event has the report. */
export type CopyEvent =
  | { readonly type: 'blob'; readonly digest: Digest; readonly sizeBytes: number }
  | { readonly type: 'manifest'; readonly digest: Digest; readonly mediaType: string }
  | { readonly type: 'tag'; readonly tag: string; readonly status: 'copied' | 'unchanged' | 'removed' }
  | { readonly type: 'failure'; readonly tag: string; readonly cause: unknown }
  | { readonly type: 'done'; readonly report: CopyReport };
