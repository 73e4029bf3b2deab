import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';

import { AT_FDCWD, lgetxattr, llistxattr, lsetxattr, mknodat } from '@tsc/sys';

import { decodeName, encodeName } from '../src/tar/name.ts';

/** A tree with every kind of member that a root filesystem has. */
export const makeTree = (dir: string): void => {
  const at = (name: string): string => join(dir, name);
  const deep = `deep/${'long-directory-name-'.repeat(5)}/${'x'.repeat(120)}`;
  for (const name of ['bin', 'etc', 'dev', 'tmp', 'empty', 'ünï', deep]) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('bin/tool'), Buffer.alloc(300_000, 'tool'));
  writeFileSync(at('etc/empty'), '');
  writeFileSync(at('etc/exactly-one-block'), Buffer.alloc(512, 1));
  writeFileSync(at(`${deep}/file`), 'deep');
  writeFileSync(at('ünï/dätei'), 'unicode');
  writeFileSync(at('etc/owned'), 'owned');
  chownSync(at('etc/owned'), 1000, 3_000_000);
  chmodSync(at('bin/tool'), 0o4755);
  chmodSync(at('tmp'), 0o1777);
  chmodSync(at('etc/empty'), 0o000);
  linkSync(at('bin/tool'), at('bin/tool-again'));
  symlinkSync('../etc/owned', at('bin/link'));
  symlinkSync('/nowhere/at/all', at('etc/dangling'));
  symlinkSync('y'.repeat(200), at('etc/long-link'));
  mknodat(AT_FDCWD, at('dev/null'), 0o020666, { major: 1, minor: 3 });
  mknodat(AT_FDCWD, at('dev/disk'), 0o060660, { major: 259, minor: 300 });
  mknodat(AT_FDCWD, at('dev/fifo'), 0o010644);
  // cap_net_raw+ep, version 2.
  lsetxattr(at('bin/tool'), 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  lsetxattr(at('etc/owned'), 'user.note', Buffer.from([0, 10, 61, 255]));
  lsetxattr(at('empty'), 'user.note', Buffer.from('of a directory'));
  const sparse = openSync(at('etc/sparse'), 'w');
  writeSync(sparse, 'head', 0);
  writeSync(sparse, 'tail', 5_000_000);
  closeSync(sparse);
  utimesSync(at('etc/owned'), 1_000_000_000.5, 1_234_567_890.123_456);
  lutimesSync(at('bin/link'), 1_111_111_111, 1_111_111_111);
  utimesSync(at('empty'), 1, 1);
  utimesSync(at('etc'), 1_222_222_222, 1_222_222_222);
};

/** Everything that one can see of a tree, one line per member, to compare with another's. Names may be any bytes. */
export const describeTree = (dir: string): string[] => {
  const first = new Map<bigint, string>();
  const lines: string[] = [];
  const visit = (name: string): void => {
    const path = `${dir}/${name}`;
    const bytes = encodeName(path);
    const stat = lstatSync(bytes, { bigint: true });
    const isDirectory = stat.isDirectory();
    const earlier = first.get(stat.ino);
    if (!isDirectory) first.set(stat.ino, earlier ?? name);
    const xattrs = llistxattr(path)
      .map((key) => `${key}=${lgetxattr(path, key).toString('hex')}`)
      .sort();
    lines.push(
      [
        JSON.stringify(name),
        stat.mode.toString(8),
        stat.uid,
        stat.gid,
        isDirectory ? '' : `${String(stat.size)} ${String(stat.nlink)}`,
        stat.rdev,
        stat.mtimeNs,
        earlier ?? '',
        ...xattrs,
        contentOf(bytes, stat),
      ].join(' '),
    );
    if (!isDirectory) return;
    for (const child of readdirSync(bytes, { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b)))
      visit(`${name}/${decodeName(child)}`);
  };
  visit('.');
  return lines;
};

/** A file's bytes, by their hash if they are many. */
const contentOf = (path: Buffer, stat: BigIntStats): string => {
  if (stat.isSymbolicLink()) return JSON.stringify(decodeName(readlinkSync(path, 'buffer')));
  if (!stat.isFile()) return '';
  const bytes = readFileSync(path);
  return bytes.length <= 100 ? bytes.toString('base64') : createHash('sha256').update(bytes).digest('hex');
};

export const tar = (...args: string[]): void => {
  execFileSync('tar', args, { stdio: ['ignore', 'ignore', 'inherit'] });
};
