import { rmSync } from 'node:fs';

const DELAY_MS = 5;

/**
 * Directories of containers that are gone, which nobody needs to wait for. Each is removed a little later, when the next
 * container is on its way; what a killed process leaves is a directory without a record, which nobody sees.
 */
export class Trash {
  readonly #dirs: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  add(dir: string): void {
    this.#dirs.push(dir);
    this.#schedule();
  }

  /** Removes what is left now. */
  empty(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const dir of this.#dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#dirs.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const dir = this.#dirs.shift();
      if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
      this.#schedule();
    }, DELAY_MS).unref();
  }
}
