import { setTimeout as sleep } from 'node:timers/promises';

import type { RegistryStorage } from '../storage.ts';
import { domainOf, openUpstreamClient } from './client.ts';
import { Copy, reportCopy } from './copy.ts';
import { storageDestination } from './destination.ts';
import type { CopyEvent, CopyReport, Mirror } from './options.ts';

/**
 * Copies tags of a repository of another registry to here: whole indexes, or the members for some platforms, with the
 * signatures and SBOMs that refer to them, and only what is missing. Broken off or killed, it goes on where it was when it
 * is called again; a tag is there with all that it needs, or as it was.
 *
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`; {@link ImageError}: the tags can't be listed. What fails of one tag
 *   is in the report.
 * @example for await (const event of mirror(storage, { upstream: { registry: 'docker.io' }, repository: 'library/debian', to: 'debian' }));
 */
export async function* mirror(
  storage: RegistryStorage,
  what: Mirror,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<CopyEvent, CopyReport, void> {
  const { upstream, repository, to, ...selection } = what;
  await using client = openUpstreamClient(upstream);
  const place = { domain: domainOf(upstream.registry), path: repository, tag: undefined, digest: undefined };
  const copy = new Copy(client.repository(place), storageDestination(storage, to), { ...selection, signal });
  return yield* reportCopy(copy, copy.tags());
}

export interface ScheduleOptions {
  /** From the end of one round to the beginning of the next, at least a second. */
  readonly everyMs: number;
  /** Is told what a mirror has changed. It must not throw. */
  readonly onReport?: ((what: Mirror, report: CopyReport) => void) | undefined;
  /** Is told why a mirror couldn't be brought up to date; the next round tries again. It must not throw. */
  readonly onFailure?: ((what: Mirror, failure: unknown) => void) | undefined;
}

/** Mirrors that are kept up to date. */
export interface MirrorSchedule extends AsyncDisposable {
  /** Breaks off what is under way, and resolves when nothing is any more. Calling it twice is fine. */
  stop(): Promise<void>;
}

/** Brings mirrors up to date now, one after the other, and again and again. It keeps no process alive. */
export function scheduleMirrors(
  storage: RegistryStorage,
  mirrors: readonly Mirror[],
  { everyMs, onReport, onFailure }: ScheduleOptions,
): MirrorSchedule {
  for (const { upstream } of mirrors) domainOf(upstream.registry);
  const stopping = new AbortController();
  const { signal } = stopping;
  const isStopped = (): boolean => signal.aborted;
  const update = async (what: Mirror): Promise<void> => {
    if (isStopped()) return;
    try {
      for await (const event of mirror(storage, what, { signal }))
        if (event.type === 'done') onReport?.(what, event.report);
    } catch (failure) {
      if (!isStopped()) onFailure?.(what, failure);
    }
  };
  const run = async (): Promise<void> => {
    while (!isStopped()) {
      for (const what of mirrors) await update(what);
      await sleep(Math.max(everyMs, 1000), undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
  const running = run();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}
