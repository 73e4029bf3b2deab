import { randomUUID } from 'node:crypto';
import { composeImage, imageId, isImageError } from '@tsc/image';
import type { Image, StoredImage } from '@tsc/image';
import type { BuildStore } from './stage-state.ts';

/**
 * What a build has to store on its way: layers that RUN starts from, or has made. They are held by images of this build
 * alone, which a label tells from all others, so that taking them away in the end takes nobody else's.
 */
export class HeldImages implements AsyncDisposable {
  readonly #store: BuildStore;
  readonly #mark = randomUUID();
  readonly #ids = new Set<string>();

  constructor(store: BuildStore) {
    this.#store = store;
  }

  /** Stores an image's layers under a config that has nothing in it. What is stored already is not stored again. */
  async hold({ config, layers }: Image, signal: AbortSignal | undefined): Promise<StoredImage> {
    const { architecture, os, rootfs } = config;
    const held = composeImage({ architecture, os, config: { Labels: { 'tsc.build': this.#mark } }, rootfs }, layers);
    this.#ids.add(imageId(held));
    return await this.#store.write(held, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#ids) await this.#remove(id);
    this.#ids.clear();
  }

  async #remove(id: string): Promise<void> {
    try {
      await this.#store.remove(id, { force: true });
    } catch (error) {
      // The build ended before it was stored.
      if (!isImageError(error) || error.code !== 'IMAGE_NOT_FOUND') throw error;
    }
  }
}
