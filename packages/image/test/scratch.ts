import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for one test. */
export interface Scratch extends Disposable {
  readonly dir: string;
  at(name: string): string;
}

export const scratch = (): Scratch => {
  const dir = mkdtempSync(join(tmpdir(), 'tsc-image-'));
  return {
    dir,
    at: (name) => join(dir, name),
    [Symbol.dispose]: () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
};
