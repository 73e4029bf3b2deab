import { existsSync } from 'node:fs';
import { homedir } from 'node:os';

import type { ContainerSpec, MountSpec } from '@tsc/engine';

import { badValue, notSupported } from '../errors.ts';
import { list, value } from '../flags/flag.ts';
import { parseMount } from '../words/mount.ts';
import { parseSize } from '../words/size.ts';
import { parseTmpfs } from '../words/tmpfs.ts';
import { parseVolume } from '../words/volume.ts';
import type { VolumeWord } from '../words/volume.ts';
import { flagGroup, given, unlessEmpty } from './group.ts';
import type { FlagGroup } from './group.ts';

const here = (): { workingDir: string; homeDir: string } => ({ workingDir: process.cwd(), homeDir: homedir() });

/** What is mounted into the container. */
export const storageGroup: FlagGroup<Pick<ContainerSpec, 'mounts' | 'shmSizeBytes'>> = flagGroup(
  {
    mount: list('Attach a filesystem mount to the container', { valueName: 'mount' }, (word) =>
      parseMount(word, here()),
    ),
    'shm-size': value('Size of /dev/shm', parseSize, { valueName: 'bytes' }),
    tmpfs: list('Mount a tmpfs directory', {}, parseTmpfs),
    volume: list('Bind mount a volume', { short: 'v' }, (word) => parseVolume(word, here())),
  },
  (values) => {
    const mounts = [...values.volume.map(relabelled), ...values.mount, ...values.tmpfs];
    requireDistinctTargets(mounts);
    return given({ mounts: unlessEmpty(mounts), shmSizeBytes: values['shm-size'] });
  },
);

/** Without SELinux there are no labels, and `z` asks for nothing. */
function relabelled({ mount, relabel }: VolumeWord): MountSpec {
  if (relabel && existsSync('/sys/fs/selinux/enforce')) throw notSupported('relabelling a volume for SELinux (z, Z)');
  return mount;
}

function requireDistinctTargets(mounts: readonly MountSpec[]): void {
  const seen = new Set<string>();
  for (const { target } of mounts) {
    const plain = target.replace(/\/+/g, '/').replace(/\/$/, '');
    if (seen.has(plain)) throw badValue(`duplicate mount point: ${target}`);
    seen.add(plain);
  }
}
