import {
  MOUNT_ATTR_RDONLY,
  CLONE_NEWCGROUP,
  CLONE_NEWNET,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '@tsc/sys';
import type { KeepSettings, Operation, Slot, StartProgram } from '@tsc/sys';

import { RuntimeError } from '../errors.ts';
import type { OciMount, OciProcess, OciSpec } from '../oci-spec.ts';
import { compileDeviceFiles } from './device-files.ts';
import { DEVPTS_SUPER_MAGIC, bindDescriptor, compileCgroupMount, compileMount } from './mounts.ts';
import { parseMountOptions } from './mount-options.ts';
import type { CgroupMount, MountTarget, SourceKind } from './mounts.ts';
import { formatIdMap, planNamespaces } from './namespaces.ts';
import { compileProcess } from './process.ts';
import type { ProcessOptions } from './process.ts';
import { Slots } from './slots.ts';
import { checkSupported, checkedMounts } from './supported.ts';
import { sysctlPath } from './sysctl.ts';

/** What a start program needs to know beside the configuration: facts of the host, found before, and descriptors. */
export interface StartContext {
  /** How many descriptors tsc-init inherits. */
  readonly inherited: number;
  /** The root file system: a detached mount. */
  readonly rootfs: Slot;
  /** A network namespace that was made and set up before; it takes the place of a new one. */
  readonly netns?: Slot | undefined;
  readonly cgroup?: CgroupEntry | undefined;
  /** An empty directory of the host, over which the root is mounted for a moment, in the container's namespace only. */
  readonly scratchDir: string;
  readonly keep: KeepSettings;
  /** What the sources of bind mounts are; a directory where not listed. */
  readonly sourceKinds?: ReadonlyMap<string, SourceKind> | undefined;
  readonly seccomp?: ProcessOptions['seccomp'];
  readonly windowSize?: { readonly rows: number; readonly columns: number } | undefined;
  /** A small init as the first process. */
  readonly reap?: boolean | undefined;
}

export interface CgroupEntry {
  /** Files that the new process writes `0` into. */
  readonly joinTargets: readonly { readonly path: string; readonly data: string }[];
  /** A v2 directory to be cloned into. */
  readonly directory?: Slot | undefined;
  /** What the container sees of it in `/sys/fs/cgroup`. */
  readonly v1Mounts: readonly CgroupMount[];
  readonly v2Mount: string | undefined;
}

/** What the root is made when it is the root: before, a shared one would show the host what is mounted in it. */
const lateRootPropagation: Readonly<Record<string, number>> = {
  shared: MS_SHARED,
  unbindable: MS_UNBINDABLE,
};

interface Mounts {
  readonly operations: readonly Operation[];
  readonly slots: ReadonlyMap<string, Slot>;
  /** The `/dev` that is the container's alone, so that nodes can be made in it; not one of the host's. */
  readonly ownDev: Slot | undefined;
}

/** All mounts in the configuration's order, with the slots of those that later steps work in. */
function compileMounts(target: MountTarget, mounts: readonly OciMount[], context: StartContext): Mounts {
  const slots = new Map<string, Slot>();
  const operations = mounts.flatMap((mount) => {
    if (mount.type === 'cgroup' || mount.type === 'cgroup2') {
      const { v1Mounts = [], v2Mount } = context.cgroup ?? {};
      return compileCgroupMount(target, mount, { v1: v1Mounts, v2: v2Mount });
    }
    const [slot, steps] = compileMount(target, mount, context.sourceKinds?.get(mount.source ?? ''));
    slots.set(mount.destination, slot);
    return steps;
  });
  const dev = mounts.find(({ destination }) => destination === '/dev');
  const bound = dev?.type === 'bind' || parseMountOptions(dev?.options ?? []).bind;
  return { operations, slots, ownDev: bound ? undefined : slots.get('/dev') };
}

function requireMount(mounts: Mounts, destination: string): Slot {
  const slot = mounts.slots.get(destination);
  if (slot === undefined)
    throw new RuntimeError('RUNTIME_INVALID_SPEC', `the configuration mounts nothing on ${destination}`);
  return slot;
}

/** Values for files of procfs go through the procfs that was just mounted, by its descriptor, and never leave it. */
function writeProc(proc: Slot, path: string, data: string): Operation {
  return { op: 'writeFile', dir: proc, path, resolve: RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV, data };
}

function compileProcSettings(spec: OciSpec, mounts: Mounts, process: OciProcess): Operation[] {
  const sysctls = Object.entries(spec.linux?.sysctl ?? {});
  if (sysctls.length === 0 && process.oomScoreAdj === undefined) return [];
  const proc = requireMount(mounts, '/proc');
  const settings = sysctls.map(([name, value]) =>
    writeProc(proc, sysctlPath(name, spec.linux?.namespaces ?? []), value),
  );
  if (process.oomScoreAdj !== undefined) {
    settings.push(writeProc(proc, 'self/oom_score_adj', String(process.oomScoreAdj)));
  }
  return settings;
}

/** A terminal of the container's own devpts, or of the host's where that is what `/dev` was asked to be. */
function compileTerminal(target: MountTarget, mounts: Mounts, windowSize: StartContext['windowSize']): Operation[] {
  const { slots, root } = target;
  const { ownDev } = mounts;
  const made = mounts.slots.get('/dev/pts');
  const devpts = made ?? slots.take();
  const slave = slots.take();
  const { rows = 0, columns = 0 } = windowSize ?? {};
  return [
    ...(made === undefined
      ? ([
          { op: 'resolve', slot: devpts, root, path: '/dev/pts', missing: 'fail', resolve: RESOLVE_NO_SYMLINKS },
          { op: 'verifyFs', fd: devpts, magic: DEVPTS_SUPER_MAGIC },
        ] as const)
      : []),
    { op: 'terminal', devpts, slot: slave, rows, columns },
    ...(ownDev === undefined ? [] : bindDescriptor(slots, slave, { dir: ownDev, path: 'console' })),
  ];
}

function compileHiding(spec: OciSpec, target: MountTarget): Operation[] {
  const masked = spec.linux?.maskedPaths ?? [];
  const readOnly = spec.linux?.readonlyPaths ?? [];
  const nullDevice = target.slots.take();
  return [
    ...readOnly.map((path): Operation => ({ op: 'readonly', root: target.root, path })),
    ...(masked.length === 0 ? [] : [{ op: 'open', slot: nullDevice, path: '/dev/null', flags: O_PATH } as const]),
    ...masked.map((path): Operation => ({ op: 'mask', root: target.root, nullDevice, path })),
  ];
}

/** From the host's root to the container's: everything between entering the namespaces and becoming the user. */
function compileRoot(
  spec: OciSpec & { readonly process: OciProcess },
  context: StartContext,
  slots: Slots,
): Operation[] {
  const { process } = spec;
  const target: MountTarget = { root: context.rootfs, slots };
  const wanted = spec.linux?.rootfsPropagation ?? 'slave';
  const propagation = wanted === 'private' ? MS_PRIVATE : MS_SLAVE;
  const latePropagation = lateRootPropagation[wanted];
  const scratch = slots.take();
  const mounts = compileMounts(target, checkedMounts(spec), context);
  const terminal = process.terminal === true;
  const { ownDev } = mounts;
  const workingDir = slots.take();
  return [
    { op: 'umask', mask: 0 },
    { op: 'mount', target: '/', flags: MS_REC | propagation },
    { op: 'open', slot: scratch, path: context.scratchDir, flags: O_PATH },
    { op: 'moveMount', from: context.rootfs, to: scratch },
    ...mounts.operations,
    ...(ownDev === undefined ? [] : compileDeviceFiles(ownDev, spec.linux?.devices ?? [], terminal)),
    ...(terminal ? compileTerminal(target, mounts, context.windowSize) : []),
    ...compileProcSettings(spec, mounts, process),
    // Docker makes a missing working directory; here it is made below the root, whatever links lead there.
    { op: 'resolve', slot: workingDir, root: context.rootfs, path: process.cwd, missing: 'make-directory' },
    ...compileHiding(spec, target),
    ...(spec.root?.readonly === true
      ? [{ op: 'mountSetattr', fd: context.rootfs, flags: 0, set: MOUNT_ATTR_RDONLY, clear: 0 } as const]
      : []),
    { op: 'pivotRoot', root: context.rootfs },
    ...(latePropagation === undefined
      ? []
      : [
          { op: 'mountSetattr', fd: context.rootfs, flags: 0, set: 0, clear: 0, propagation: latePropagation } as const,
        ]),
  ];
}

/** The descriptors that the monitor has no use for. */
const childSlots = ({ rootfs, netns, cgroup }: StartContext): readonly Slot[] =>
  [rootfs, netns, cgroup?.directory].filter((slot) => slot !== undefined);

/**
 * Compiles a configuration into the program that tsc-init carries out to start it. Pure: the same input gives the same
 * program, and every decision about a container's security is one of its operations.
 *
 * @throws RuntimeError `RUNTIME_INVALID_SPEC`
 */
export function compileStart(spec: OciSpec, context: StartContext): StartProgram {
  const { process } = spec;
  if (process === undefined) throw new RuntimeError('RUNTIME_INVALID_SPEC', 'the configuration has no process');
  checkSupported(spec);
  const slots = new Slots(context.inherited);
  const namespaces = planNamespaces(slots, spec.linux?.namespaces ?? []);
  const { cgroup, netns } = context;
  return {
    inherited: context.inherited,
    operations: [
      { op: 'keep', ...context.keep, terminal: process.terminal === true, release: childSlots(context) },
      ...namespaces.beforeClone,
      {
        op: 'clone',
        flags: netns === undefined ? namespaces.cloneFlags : namespaces.cloneFlags & ~CLONE_NEWNET,
        uidMap: formatIdMap(spec.linux?.uidMappings ?? []),
        gidMap: formatIdMap(spec.linux?.gidMappings ?? []),
        ...(cgroup?.directory === undefined ? {} : { cgroup: cgroup.directory }),
      },
      ...(cgroup?.joinTargets ?? []).map(({ path, data }): Operation => ({ op: 'writeFile', path, data })),
      ...namespaces.afterClone,
      ...(netns === undefined ? [] : [{ op: 'setns', fd: netns, nstype: CLONE_NEWNET } as const]),
      ...((namespaces.cloneFlags & CLONE_NEWNET) !== 0 && netns === undefined ? [{ op: 'loopbackUp' } as const] : []),
      ...(namespaces.newCgroupNamespace ? [{ op: 'unshare', flags: CLONE_NEWCGROUP } as const] : []),
      ...(spec.hostname === undefined ? [] : [{ op: 'sethostname', name: spec.hostname } as const]),
      ...(spec.domainname === undefined ? [] : [{ op: 'setdomainname', name: spec.domainname } as const]),
      ...compileRoot({ ...spec, process }, context, slots),
      ...compileProcess(process, { seccomp: context.seccomp, reap: context.reap }),
    ],
  };
}
