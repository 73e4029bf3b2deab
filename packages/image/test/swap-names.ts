// Exchanges a directory and a link for as long as it runs: node swap-names.ts <dir> <a> <b> <target of the link>
import { lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { AT_FDCWD, RENAME_EXCHANGE, renameat2 } from '@tsc/sys';

const ROUNDS = 16;

const [dir = '', a = '', b = '', target = ''] = process.argv.slice(2);
const [first, second] = [join(dir, a), join(dir, b)];
const attempt = (act: () => void): void => {
  try {
    act();
  } catch {
    // The other side has removed or made a name meanwhile; that is the point.
  }
};
const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

process.stdout.write('swapping\n');
for (;;) {
  attempt(() => {
    if (!isLink(first) && !isLink(second)) {
      rmSync(second, { recursive: true, force: true });
      symlinkSync(target, second);
    }
    mkdirSync(first, { recursive: true });
  });
  attempt(() => {
    for (let round = 0; round < ROUNDS; round += 1) renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
  });
}
