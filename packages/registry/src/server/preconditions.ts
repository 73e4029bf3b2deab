import { isRegistryError, RegistryError } from '../errors.ts';
import type { Digest, ManifestReference } from '../names.ts';
import type { RegistryStorage } from '../storage.ts';
import type { Exchange } from './context.ts';

export interface PreconditionTarget {
  readonly name: string;
  readonly reference: ManifestReference;
}

/** Whether only a tag that isn't there yet is to be made: `If-None-Match: *`. */
export const isOnlyNew = ({ request }: Exchange): boolean => request.headers['if-none-match']?.trim() === '*';

/**
 * Changes a manifest or a tag if `If-Match` and `If-None-Match` are true of it: an ETag is the digest in quotes. Those of this
 * process who have a condition go one after the other; a push of another process, or without a condition, may come in between.
 *
 * @throws {@link RegistryError} status 412: they are not, and nothing was changed
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1
 */
export function whenWanted(exchange: Exchange, target: PreconditionTarget, change: () => Promise<void>): Promise<void> {
  const { 'if-match': wanted, 'if-none-match': unwanted } = exchange.request.headers;
  if (wanted === undefined && unwanted === undefined) return change();
  const { name, reference } = target;
  const key = `${name} ${reference.type === 'tag' ? reference.tag : reference.digest}`;
  return inTurn(exchange.storage, key, async () => {
    const digest = await currentDigest(exchange, target);
    if (wanted !== undefined && !hasTag(wanted, digest)) throw notWanted(digest);
    if (unwanted !== undefined && hasTag(unwanted.replaceAll('W/', ''), digest)) throw notWanted(digest);
    try {
      await change();
    } catch (error) {
      // Another process made the tag meanwhile.
      if (isOnlyNew(exchange) && isRegistryError(error) && error.code === 'DENIED') throw notWanted(undefined, error);
      throw error;
    }
  });
}

/** A weak ETag is none of ours, so none that `If-Match` could mean. */
const hasTag = (list: string, digest: Digest | undefined): boolean =>
  digest !== undefined && list.split(',').some((tag) => tag.trim() === '*' || tag.trim() === `"${digest}"`);

const notWanted = (digest: Digest | undefined, cause?: unknown): RegistryError => {
  const message = 'If-Match or If-None-Match is not true of what is there';
  return new RegistryError('DENIED', message, { status: 412, detail: { digest }, cause });
};

async function currentDigest(
  { storage, signal }: Exchange,
  { name, reference }: PreconditionTarget,
): Promise<Digest | undefined> {
  try {
    if (reference.type === 'tag') return await storage.resolveTag(name, reference.tag, { signal });
    await storage.statManifest(name, reference.digest, { signal });
    return reference.digest;
  } catch (error) {
    if (isRegistryError(error) && error.status === 404) return undefined;
    throw error;
  }
}

const queues = new WeakMap<RegistryStorage, Map<string, Promise<void>>>();

async function inTurn(storage: RegistryStorage, key: string, act: () => Promise<void>): Promise<void> {
  const queue = queues.get(storage) ?? new Map<string, Promise<void>>();
  queues.set(storage, queue);
  const turn = (queue.get(key) ?? Promise.resolve()).then(act, act);
  queue.set(key, turn);
  try {
    await turn;
  } finally {
    if (queue.get(key) === turn) queue.delete(key);
  }
}
