import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Identity } from '../access/access.ts';
import type { RepositoryPolicy } from '../policy/policy.ts';
import type { RegistryStorage } from '../storage.ts';
import type { EventSubject } from './events.ts';

/** What bounds a request. */
export interface RegistryLimits {
  /** A body or its reader that does nothing for so long is given up. Default 60 000. */
  readonly stallTimeoutMs: number;
  /** A body or its reader that is slower than this, from one `stallTimeoutMs` to the next, is given up too. Default 1024. */
  readonly minBytesPerSecond: number;
  /** A larger manifest gets a 413. Default 4 MiB. */
  readonly manifestMaxBytes: number;
  /** A larger blob gets a 413. Default: no limit. */
  readonly blobMaxBytes: number;
  /** The most entries of one page of a list; more come by its `Link`. Default 10 000. */
  readonly pageMaxEntries: number;
}

/** One request with all that its handler needs. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly storage: RegistryStorage;
  readonly limits: RegistryLimits;
  readonly policy: RepositoryPolicy;
  /** Whether a manifest may refer to what isn't there. */
  readonly sparse: boolean;
  /** Who asks; that they may is settled. */
  readonly identity: Identity;
  /** Tells what has happened, once it has. */
  readonly emit: (event: EventSubject) => void;
  /** Aborts when the client goes away or the registry is closed. */
  readonly signal: AbortSignal;
}
