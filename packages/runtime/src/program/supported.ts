import { posix } from 'node:path';

import { RuntimeError } from '../errors.ts';
import type { OciMount, OciSpec } from '../oci-spec.ts';

const refuse = (what: string): never => {
  throw new RuntimeError('RUNTIME_INVALID_SPEC', what);
};

/** What a configuration may ask for and this runtime doesn't do. Better no container than one without its confinement. */
function unsupported({ process, hooks, mounts = [], linux }: OciSpec): Readonly<Record<string, boolean>> {
  const named = (profile: string | undefined): boolean => ![undefined, '', 'unconfined'].includes(profile);
  return {
    hooks: Object.values(hooks ?? {}).some((list: readonly unknown[] | undefined) => (list?.length ?? 0) > 0),
    'process.apparmorProfile': named(process?.apparmorProfile),
    'process.selinuxLabel': named(process?.selinuxLabel),
    'process.scheduler': process?.scheduler !== undefined,
    'process.ioPriority': process?.ioPriority !== undefined,
    'process.execCPUAffinity': process?.execCPUAffinity !== undefined,
    'linux.mountLabel': named(linux?.mountLabel),
    'linux.personality': linux?.personality !== undefined,
    'linux.timeOffsets': Object.keys(linux?.timeOffsets ?? {}).length > 0,
    'linux.netDevices': Object.keys(linux?.netDevices ?? {}).length > 0,
    'id mappings of a mount': mounts.some(({ uidMappings, gidMappings }) => (uidMappings ?? gidMappings) !== undefined),
    'an owner of a device': (linux?.devices ?? []).some(({ uid = 0, gid = 0 }) => uid !== 0 || gid !== 0),
  };
}

/** Files of procfs that may be replaced one by one, as lxcfs does. */
const replaceable: ReadonlySet<string> = new Set(
  ['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo', 'net/dev'].map(
    (name) => `/proc/${name}`,
  ),
);

/**
 * Something else in the place of procfs would take from the runtime what it hides and sets there (CVE-2019-16884,
 * CVE-2015-3631).
 */
function checkProc({ destination, type, source }: OciMount): void {
  const inside = destination === '/proc' || destination.startsWith('/proc/');
  if (!inside || replaceable.has(destination)) return;
  if (destination === '/proc' && (type === 'proc' || source === '/proc')) return;
  refuse(`cannot mount on ${destination}: it is inside /proc`);
}

/** A destination without `.`, `..` and doubled slashes, which would hide what it is. */
const cleanDestination = (mount: OciMount): OciMount => {
  if (!mount.destination.startsWith('/')) refuse(`the destination of a mount is not absolute: ${mount.destination}`);
  const clean = posix.normalize(mount.destination);
  return { ...mount, destination: clean === '/' ? clean : clean.replace(/\/$/, '') };
};

/** The mounts of a configuration, checked, with clean destinations. @throws RuntimeError `RUNTIME_INVALID_SPEC` */
export function checkedMounts(spec: OciSpec): readonly OciMount[] {
  const mounts = (spec.mounts ?? []).map(cleanDestination);
  for (const mount of mounts) {
    if (mount.destination === '/') refuse('cannot mount on /: it is the root file system');
    checkProc(mount);
  }
  return mounts;
}

/** @throws RuntimeError `RUNTIME_INVALID_SPEC`: the configuration asks for what this runtime doesn't do */
export function checkSupported(spec: OciSpec): void {
  for (const [what, asked] of Object.entries(unsupported(spec))) {
    if (asked) refuse(`not supported: ${what}`);
  }
}
