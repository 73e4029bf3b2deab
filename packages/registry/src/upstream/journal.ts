import { calledUpstream, refusalOf } from './failure.ts';
import type { CacheEvent, CacheOptions } from './options.ts';
import { warn } from './requests.ts';
import type { Source } from './source.ts';

interface Where {
  readonly source: Source;
  readonly name: string;
}

type What = Pick<CacheEvent, 'type' | 'object'> & { readonly sizeBytes?: number; readonly cause?: unknown };

/** Tells outside what the cache does. */
export class Journal {
  readonly #options: Pick<CacheOptions, 'onEvent' | 'onFailure'>;

  constructor(options: Pick<CacheOptions, 'onEvent' | 'onFailure'>) {
    this.#options = options;
  }

  tell({ source, name }: Where, { type, object, sizeBytes, cause }: What): void {
    const { prefix } = source.upstream;
    if (type === 'stale') warn(`${calledUpstream(prefix)} did not answer: this is what it said before`);
    this.#options.onEvent?.({ type, object, upstream: prefix, name, sizeBytes, cause });
  }

  /** Tells of a failure, and returns what the client is told of it. */
  refuse(where: Where, { object, cause }: Pick<What, 'object' | 'cause'>): Error {
    this.tell(where, { type: 'failed', object, cause });
    return refusalOf(cause, where.source.upstream.prefix);
  }

  failed(failure: unknown): void {
    this.#options.onFailure?.(failure);
  }
}
