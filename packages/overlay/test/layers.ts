import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A temporary directory with everything that a test lays over each other. */
export class Layers {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'layers-'));

  /** A layer of these files; a name that ends in `/` is an empty directory. */
  layer(name: string, files: Readonly<Record<string, string>> = {}): string {
    const layerDir = this.path(name);
    mkdirSync(layerDir, { recursive: true });
    for (const [path, content] of Object.entries(files)) {
      const file = join(layerDir, path);
      mkdirSync(path.endsWith('/') ? file : dirname(file), { recursive: true });
      if (!path.endsWith('/')) writeFileSync(file, content);
    }
    return layerDir;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }
}
