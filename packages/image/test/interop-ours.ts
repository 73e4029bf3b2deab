import { join } from 'node:path';

import {
  appendLayer,
  emptyImage,
  layerFromFiles,
  openImageStore,
  openRegistryClient,
  pullImage,
  pushImage,
  withConfig,
  type Image,
  type ImageStore,
  type StoredImage,
} from '../src/index.ts';
import type { Peer, Seen } from './interop-peers.ts';

/** Two gzip layers, with what a layer can hold that a directory can't: a whiteout. */
export const ourImage = async (maker: string = 'ours'): Promise<Image> => {
  const layers = [
    await layerFromFiles(
      [
        { path: 'etc/maker', content: maker },
        { path: 'etc/gone', content: 'gone' },
        { path: 'etc/tool', content: Buffer.alloc(200_000, maker), mode: 0o4755, uid: 7 },
        { path: 'etc/link', linkTarget: 'maker' },
      ],
      { compression: 'gzip' },
    ),
    await layerFromFiles(
      [
        { path: 'etc/.wh.gone', content: '' },
        { path: 'again', content: maker },
      ],
      { compression: 'gzip' },
    ),
  ];
  const empty = emptyImage({ architecture: 'amd64' });
  const image = layers.reduce((lower, layer) => appendLayer(lower, layer, { created_by: maker }), empty);
  return withConfig(image, { config: { Env: [`MAKER=${maker}`], Cmd: ['/sh'] } });
};

export const seenInStore = (image: StoredImage): Seen => ({
  id: image.id,
  diffIds: image.config.rootfs.diff_ids,
  manifestDigest: image.manifestDigest,
});

/** Reads the events of a transfer to the end. */
export const finish = async (events: AsyncIterable<unknown>): Promise<void> => {
  for await (const _event of events);
};

export interface Ours extends Peer {
  readonly store: ImageStore;
}

/** Our library, with a store in `dir`. */
export const openOurs = async (dir: string): Promise<Ours> => {
  const store = await openImageStore({ rootDir: join(dir, 'store') });
  const push = async (from: string, to: string): Promise<void> => {
    await using client = openRegistryClient();
    await finish(pushImage(store, client, from, { to }));
  };
  return {
    ...{ name: 'ours', keepsManifest: true, store, push },
    make: async (reference) => {
      await store.write(await ourImage(), { names: [reference] });
      await push(reference, reference);
      await store.remove(reference);
    },
    pull: async (reference) => {
      await using client = openRegistryClient();
      await finish(pullImage(store, client, reference));
      return seenInStore(await store.resolve(reference));
    },
  };
};
