import { RegistryError } from '../errors.ts';
import { sendJson } from '../server/answer.ts';
import type { Endpoint } from '../server/endpoint.ts';
import type { RegistryStorage } from '../storage.ts';
import { checkReads } from './reading.ts';

export interface HealthOptions {
  readonly storage: RegistryStorage;
  /** For a registry that is read-only: whether storage can be read. Default false. */
  readonly readOnly?: boolean | undefined;
  /** How long an answer of storage stands for the next ones. Default 1000. */
  readonly maxAgeMs?: number | undefined;
  /** Storage that takes longer is not ready. Default 5000. */
  readonly timeoutMs?: number | undefined;
  /** Is told why storage wasn't ready, which clients aren't. It must not throw. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
}

export interface Health {
  /** `/health/live`: the process answers. `/health/ready`: it can do its work. Anybody may ask. */
  readonly endpoints: readonly Endpoint[];
  /** From now on it isn't ready, so that whoever spreads requests spreads them to others. */
  shutDown(): void;
}

/** A repository's name that says what left it behind, should the process die in between. */
const PROBE = 'health/probe';

/** Writes, and takes it back. What a push needs is needed for this: room, rights, a storage that answers. */
async function probeWrite(storage: RegistryStorage, signal: AbortSignal): Promise<void> {
  const upload = { name: PROBE, id: await storage.startUpload(PROBE, 'sha256', { signal }) };
  try {
    await storage.appendUpload(upload, { offset: 0, body: oneByte() }, { signal });
  } finally {
    await storage.cancelUpload(upload);
  }
}

async function* oneByte(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Uint8Array.of(0));
}

async function probeRead(storage: RegistryStorage, signal: AbortSignal): Promise<void> {
  await storage.listRepositories({ limit: 1, after: undefined }, { signal });
}

/** Resolves to false when it fails or takes too long; what goes on behind that is left to end by itself. */
async function inTime(probe: (signal: AbortSignal) => Promise<void>, options: HealthOptions): Promise<boolean> {
  const { timeoutMs = 5000, onFailure } = options;
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`storage took more than ${String(timeoutMs)} ms`)));
  });
  try {
    await Promise.race([probe(signal), late]);
    return true;
  } catch (failure) {
    onFailure?.(failure);
    return false;
  }
}

/** Makes endpoints that say how a registry is. */
export function createHealth(options: HealthOptions): Health {
  const { storage, readOnly = false, maxAgeMs = 1000 } = options;
  let closing = false;
  let asking = false;
  let last: { readonly answer: Promise<boolean>; readonly atMs: number } | undefined;
  const probe = async (signal: AbortSignal): Promise<void> => {
    asking = true;
    try {
      await (readOnly ? probeRead : probeWrite)(storage, signal);
    } finally {
      asking = false;
    }
  };
  // However many ask, storage is asked once, and not again while it hasn't answered.
  const ready = (): Promise<boolean> => {
    const nowMs = performance.now();
    if (last === undefined || (!asking && nowMs - last.atMs >= maxAgeMs)) {
      last = { answer: inTime(probe, options), atMs: nowMs };
    }
    return last.answer;
  };
  const endpoint = (path: string, check: () => Promise<void>): Endpoint => ({
    path,
    needs: [],
    handle: async (exchange) => {
      checkReads(exchange.request);
      await check();
      sendJson(exchange, { status: 'ok' }, { 'Cache-Control': 'no-store' });
    },
  });
  const checkReady = async (): Promise<void> => {
    if (closing) throw unready('shutting down');
    if (!(await ready())) throw unready(`storage can't be ${readOnly ? 'read' : 'written'}`);
  };
  return {
    endpoints: [endpoint('/health/live', () => Promise.resolve()), endpoint('/health/ready', checkReady)],
    shutDown: () => {
      closing = true;
    },
  };
}

const unready = (why: string): RegistryError =>
  new RegistryError('UNSUPPORTED', why, { status: 503, headers: { 'Retry-After': '1', 'Cache-Control': 'no-store' } });
