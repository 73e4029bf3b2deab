import { createReadStream, linkSync, renameSync, rmSync } from 'node:fs';

import { hasCode } from '@tsc/sys';

import type { Descriptor } from '../descriptor.ts';
import { ImageError, isImageError } from '../errors.ts';
import type { Layer } from '../image/image.ts';
import { Meter } from '../layer/meter.ts';
import { claimDownload, type DownloadDir } from '../store/download-dir.ts';
import type { Deliver, Delivery } from '../store/ingest.ts';
import type { StorePaths } from '../store/paths.ts';
import { Download, isDiskFull, type OpenPart } from './download.ts';

export type LayerStatus = 'waiting' | 'downloading' | 'verifying' | 'unpacking';

export interface DeliveryOptions {
  readonly openPart: OpenPart;
  readonly parallelChunks: number;
  readonly stallMs: number;
  readonly onStatus: (descriptor: Descriptor, status: LayerStatus, currentBytes: number) => void;
}

/** What bad bytes look like to whoever unpacks them; whose fault that is, only the digest tells. */
const isBadContent = (error: unknown): boolean =>
  isImageError(error) && ['LAYER_INVALID', 'LAYER_UNSAFE', 'COMPRESSION_UNSUPPORTED'].includes(error.code);

const isMismatch = (error: unknown): boolean => isImageError(error) && error.code === 'CONTENT_MISMATCH';

/** A registry that can't be reached may be back soon; the rest is no better the next time. */
export const isWorthKeeping = (error: unknown, signal: AbortSignal): boolean =>
  signal.aborted || (isImageError(error) && error.code.startsWith('REGISTRY_'));

/**
 * Fetches layers into the store's downloads, unpacking them meanwhile. A layer's lock is held only until it is verified,
 * and nothing is waited for while holding one: whoever wants the same layer then takes it over from the disk.
 */
export const downloadLayers =
  (paths: StorePaths, options: DeliveryOptions): Deliver =>
  async (layer, to) => {
    options.onStatus(layer.descriptor, 'waiting', 0);
    const dir = await claimDownload(paths, layer.descriptor.digest, to.signal);
    using undo = new DisposableStack();
    undo.use(dir);
    if (await to.isStored()) {
      dir.remove();
      return false;
    }
    try {
      await fetchVerified(dir, { layer, to, options });
      takeFile(dir, to.file);
      return true;
    } catch (error) {
      if (!isWorthKeeping(error, to.signal)) dir.remove();
      throw error;
    }
  };

/** Gives the file a second name, in case that this process dies before it can rename it into place. */
const takeFile = (dir: DownloadDir, file: string): void => {
  try {
    linkSync(dir.dataFile, file);
  } catch (error) {
    // A file system without hard links: then the next one to want the layer fetches it too.
    if (!hasCode(error, 'EPERM', 'EOPNOTSUPP', 'EMLINK')) throw error;
    renameSync(dir.dataFile, file);
    dir.remove();
  }
};

interface Task {
  readonly layer: Layer;
  readonly to: Delivery;
  readonly options: DeliveryOptions;
}

/** What an earlier process has left on the disk may have been spoilt there: it gets a second chance. */
const fetchVerified = async (dir: DownloadDir, task: Task): Promise<void> => {
  const resumed = await fetchOnce(dir, task).catch((error: unknown) => {
    if (error instanceof Spoilt) return error;
    throw error;
  });
  if (!(resumed instanceof Spoilt)) return;
  for (const file of [dir.dataFile, dir.progressFile]) rmSync(file, { force: true });
  await fetchOnce(dir, task);
};

class Spoilt extends Error {}

const fetchOnce = async (dir: DownloadDir, { layer, to, options }: Task): Promise<void> => {
  const { descriptor } = layer;
  let isFetched = false;
  const tell = (bytes: number): void => {
    options.onStatus(descriptor, isFetched ? (to.hasTree ? 'verifying' : 'unpacking') : 'downloading', bytes);
  };
  const onBytes = (bytes: number): void => {
    if (!isFetched) tell(bytes);
  };
  const { parallelChunks, stallMs, openPart } = options;
  await using download = await Download.open(dir, { descriptor, openPart }, { parallelChunks, stallMs, onBytes });
  tell(download.bytes);
  const stop = new AbortController();
  const signal = AbortSignal.any([to.signal, stop.signal]);
  const running = download.run(signal).then(() => {
    isFetched = true;
  });
  const taking = to
    .take(
      told(download.follow(signal), (bytes) => {
        if (isFetched) tell(bytes);
      }),
    )
    .catch((error: unknown) => {
      // Bad content is fetched to its end, to tell a registry that lies from an image that is broken.
      if (!isBadContent(error)) stop.abort(error);
      throw error;
    });
  const [ran, took] = await Promise.allSettled([running, taking]);
  if (ran.status === 'fulfilled' && took.status === 'fulfilled') return;
  to.signal.throwIfAborted();
  if (took.status === 'rejected' && isDiskFull(took.reason)) throw took.reason;
  if (ran.status === 'rejected') throw ran.reason;
  const error: unknown = took.status === 'rejected' ? took.reason : undefined;
  const verdict = isBadContent(error) ? await judge(dir, descriptor, error) : error;
  if (isMismatch(verdict) && download.resumed) throw new Spoilt('the download has other bytes', { cause: verdict });
  throw verdict;
};

async function* told(source: AsyncIterable<Buffer>, tell: (bytes: number) => void): AsyncGenerator<Buffer, void, void> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    tell(bytes);
    yield chunk;
  }
}

/** Whether the bytes that can't be unpacked are at least those that the manifest names. */
const judge = async (dir: DownloadDir, { digest, size }: Descriptor, cause: unknown): Promise<unknown> => {
  const meter = new Meter();
  for await (const chunk of createReadStream(dir.dataFile) as AsyncIterable<Buffer>) meter.add(chunk);
  const [bytes, actual] = [meter.bytes, meter.digest()];
  if (bytes === size && actual === digest) return cause;
  return new ImageError(
    'CONTENT_MISMATCH',
    `layer ${digest} of ${String(size)} bytes is ${actual} of ${String(bytes)}`,
    {
      path: digest,
      cause,
    },
  );
};
