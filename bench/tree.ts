import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { findProgram, output } from './command.ts';

const DIRECTORIES = ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp'];

/** Makes a small root file system with a static busybox, as a directory and as a tar archive of it. */
export function makeTree(tree: string, archive: string): void {
  const busybox = findProgram('busybox');
  if (busybox === undefined) throw new Error('no busybox: install busybox-static');
  for (const name of DIRECTORIES) mkdirSync(join(tree, name), { recursive: true, mode: 0o755 });
  copyFileSync(busybox, join(tree, 'bin/busybox'));
  for (const name of ['sh', 'true']) symlinkSync('busybox', join(tree, 'bin', name));
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\n');
  output('tar', ['-C', tree, '-cf', archive, '.']);
}
