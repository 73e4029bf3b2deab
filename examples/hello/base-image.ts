import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { appendLayer, emptyImage, layerFromFiles, withConfig } from '@tsc/image';
import type { FileEntry, Image } from '@tsc/image';

/** The shared libraries that this process runs with, by the paths under which the loader finds them. */
function sharedLibraries(): readonly string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { readonly sharedObjects: readonly string[] };
  return sharedObjects.filter((path) => path.startsWith('/') && !path.endsWith('.node'));
}

const file = (path: string, content: string): FileEntry => ({ path, content, mode: 0o644 });

/**
 * An image with this machine's Node and the libraries that it needs, and nothing else: the base of a first container
 * where no registry can be reached.
 */
export async function imageOfThisNode(): Promise<Image> {
  const libraries = sharedLibraries().map((path) => ({ path, sourcePath: realpathSync(path), mode: 0o755 }));
  const layer = await layerFromFiles([
    { path: '/usr/local/bin/node', sourcePath: process.execPath, mode: 0o755 },
    ...libraries,
    file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    file('/etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    // The name service library is loaded at run time, when the first name is looked up.
    ...nameServiceLibraries(libraries.map(({ path }) => path)),
  ]);
  return withConfig(appendLayer(emptyImage(), layer), { config: { Cmd: ['node'] } });
}

function nameServiceLibraries(loaded: readonly string[]): readonly FileEntry[] {
  const libc = loaded.find((path) => path.includes('/libc.so'));
  if (libc === undefined) return [];
  const dir = dirname(libc);
  return readdirSync(dir)
    .filter((name) => /^libnss_(?:dns|files)\.so/.test(name) || name.startsWith('libresolv.so'))
    .map((name) => ({ path: join(dir, name), sourcePath: realpathSync(join(dir, name)), mode: 0o755 }));
}
