import type { Operation, Slot } from '@tsc/sys';

import type { OciDevice } from '../oci-spec.ts';

const typeBits: Readonly<Record<OciDevice['type'], number>> = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 };
const S_IFREG = 0o100000;

/** The nodes that every Linux container has, whatever its configuration lists. */
const standardDevices: readonly OciDevice[] = [
  { path: '/dev/null', type: 'c', major: 1, minor: 3 },
  { path: '/dev/zero', type: 'c', major: 1, minor: 5 },
  { path: '/dev/full', type: 'c', major: 1, minor: 7 },
  { path: '/dev/random', type: 'c', major: 1, minor: 8 },
  { path: '/dev/urandom', type: 'c', major: 1, minor: 9 },
  { path: '/dev/tty', type: 'c', major: 5, minor: 0 },
];

const links: readonly (readonly [string, string])[] = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
  ['/proc/kcore', 'core'],
  ['pts/ptmx', 'ptmx'],
];

/** Each directory on the way to a device, once, parents first. */
function parents(devices: readonly OciDevice[]): readonly string[] {
  const found = new Set<string>();
  for (const { path } of devices) {
    const parts = path.split('/').slice(2, -1);
    parts.forEach((_, index) => found.add(parts.slice(0, index + 1).join('/')));
  }
  return [...found];
}

/**
 * Fills the fresh tmpfs that is the container's `/dev`, named by its mount and not by its path: nothing of the image is
 * in it, so nothing of the image can be followed (CVE-2026-41579).
 */
export function compileDeviceFiles(dev: Slot, extra: readonly OciDevice[], terminal: boolean): Operation[] {
  const own = new Set(extra.map(({ path }) => path));
  const devices = [...standardDevices.filter(({ path }) => !own.has(path)), ...extra];
  return [
    ...parents(devices).map((path): Operation => ({ op: 'mkdirat', dir: dev, path, mode: 0o755 })),
    ...devices.map(({ path, type, major = 0, minor = 0, fileMode = 0o666 }): Operation => ({
      op: 'mknodat',
      dir: dev,
      path: path.replace(/^\/dev\//, ''),
      mode: typeBits[type] | fileMode,
      major,
      minor,
    })),
    ...links.map(([target, path]): Operation => ({ op: 'symlinkat', target, dir: dev, path })),
    ...(terminal
      ? [{ op: 'mknodat', dir: dev, path: 'console', mode: S_IFREG | 0o620, major: 0, minor: 0 } as const]
      : []),
  ];
}
