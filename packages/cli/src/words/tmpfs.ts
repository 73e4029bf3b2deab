import type { MountSpec } from '@tsc/engine';

import { badValue } from '../errors.ts';
import { parseSize } from './size.ts';

type TmpfsMount = Extract<MountSpec, { readonly type: 'tmpfs' }>;

const SWITCHES = new Set([
  'ro', 'rw', 'nosuid', 'suid', 'nodev', 'dev', 'noexec', 'exec', 'sync', 'async', 'dirsync', 'remount', 'mand',
  'nomand', 'atime', 'noatime', 'diratime', 'nodiratime', 'relatime', 'norelatime', 'strictatime', 'nostrictatime',
]); // prettier-ignore
const VALUES = new Set(['uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/** `--tmpfs /run:rw,noexec,size=64m,mode=1777` */
export function parseTmpfs(word: string): TmpfsMount {
  const colon = word.indexOf(':');
  const target = parseTarget(colon === -1 ? word : word.slice(0, colon), word);
  let mount: TmpfsMount = { type: 'tmpfs', target };
  for (const option of colon === -1 ? [] : word.slice(colon + 1).split(',')) mount = withOption(mount, option);
  return mount;
}

function withOption(mount: TmpfsMount, option: string): TmpfsMount {
  const [key = '', ...values] = option.split('=');
  if (key === 'size') return { ...mount, sizeBytes: parseSize(values.join('=')) };
  if (key === 'mode') return { ...mount, mode: parseMode(values.join('=')) };
  if (values.length === 0 ? !SWITCHES.has(key) : !VALUES.has(key)) {
    throw badValue(`invalid tmpfs option ["${option}"]`);
  }
  return { ...mount, options: [...(mount.options ?? []), option] };
}

/** File mode bits in octal: `1777`, `0700`. */
export function parseMode(word: string): number {
  if (!/^[0-7]{1,5}$/.test(word)) throw badValue(`invalid mode: ${word}: it is written in octal, like 1777`);
  return Number.parseInt(word, 8);
}

/** An absolute path inside the container, other than `/`. */
export function parseTarget(target: string, word: string): string {
  if (!target.startsWith('/')) {
    throw badValue(`invalid mount config in "${word}": mount path must be absolute: '${target}'`);
  }
  if (/^\/+(\.\/*)*$/.test(target)) throw badValue(`invalid specification in "${word}": destination can't be '/'`);
  return target;
}
