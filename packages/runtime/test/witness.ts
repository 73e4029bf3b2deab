import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { BusyboxRoot } from './busybox-root.ts';

/** The compiled `witness.c`, to be put into images. */
export class Witness implements Disposable {
  readonly #dir: string = mkdtempSync(join(tmpdir(), 'witness-'));

  constructor() {
    const source = fileURLToPath(new URL('witness.c', import.meta.url));
    execFileSync('cc', ['-static', '-Wall', '-Werror', '-o', join(this.#dir, 'witness'), source]);
  }

  readonly install = (root: BusyboxRoot): void => {
    copyFileSync(join(this.#dir, 'witness'), root.path('bin/witness'));
  };

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true });
  }
}
