import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createSnapshot, mountOverlay } from '@tsc/overlay';
import type { OverlayMount } from '@tsc/overlay';

/** Of Debian's package busybox-static. */
const BUSYBOX = '/bin/busybox';

/** A directory of its own with a root file system in it, as an image would have it: gone at the end of the scope. */
export class BusyboxRoot implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'runtime-'));
  /** The image's only layer. */
  readonly layerDir: string = join(this.dir, 'layer');
  /** Outside of every container: nothing may ever change here. */
  readonly canaryDir: string = join(this.dir, 'canary');
  readonly scratchDir: string = join(this.dir, 'scratch');

  /** A last look, also when no container came of it. */
  beforeRemoval: () => void = () => undefined;

  constructor() {
    for (const name of ['layer', 'canary', 'scratch', 'layer/bin', 'layer/etc', 'layer/tmp', 'layer/root']) {
      mkdirSync(join(this.dir, name));
    }
    writeFileSync(join(this.canaryDir, 'alive'), 'canary\n');
    copyFileSync(BUSYBOX, this.path('bin/busybox'));
    for (const name of applets()) symlinkSync('busybox', this.path(`bin/${name}`));
    writeFileSync(this.path('etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n');
    writeFileSync(this.path('etc/group'), 'root:x:0:\nuser:x:1000:\n');
  }

  /** The path of a file of the image, on this side. */
  path(name: string): string {
    return join(this.layerDir, name);
  }

  /** The image with a fresh layer for a container's changes over it. */
  mount(name: string): OverlayMount {
    const { upperDir, workDir } = createSnapshot(join(this.dir, name));
    return mountOverlay({ lowerDirs: [this.layerDir], upperDir, workDir });
  }

  [Symbol.dispose](): void {
    try {
      this.beforeRemoval();
    } finally {
      rmSync(this.dir, { recursive: true });
    }
  }
}

let known: readonly string[] | undefined;
const applets = (): readonly string[] =>
  (known ??= execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox'));
