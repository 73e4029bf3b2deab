import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from '@tsc/sys';
import type { Operation } from '@tsc/sys';

import { RuntimeError } from '../errors.ts';
import type { OciIdMapping, OciNamespace, OciNamespaceType } from '../oci-spec.ts';
import type { Slots } from './slots.ts';

const O_RDONLY = 0;

const cloneFlags: Readonly<Record<OciNamespaceType, number>> = {
  pid: CLONE_NEWPID,
  network: CLONE_NEWNET,
  mount: CLONE_NEWNS,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  user: CLONE_NEWUSER,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

/** How a process gets into its namespaces, by when each can happen. */
export interface NamespacePlan {
  /** In the monitor, before the clone: a pid namespace is entered by one's children. */
  readonly beforeClone: readonly Operation[];
  /** New ones, made by the clone itself. */
  readonly cloneFlags: number;
  /** In the new process, first of all. */
  readonly afterClone: readonly Operation[];
  /** After it has entered its cgroups: the namespace's root is where its maker is. */
  readonly newCgroupNamespace: boolean;
}

const has = (namespaces: readonly OciNamespace[], type: OciNamespaceType): boolean =>
  namespaces.some((namespace) => namespace.type === type);

function join(slots: Slots, namespace: OciNamespace & { readonly path: string }): Operation[] {
  const slot = slots.take();
  return [
    { op: 'open', slot, path: namespace.path, flags: O_RDONLY },
    { op: 'setns', fd: slot, nstype: cloneFlags[namespace.type] },
    { op: 'close', slot },
  ];
}

const isPath = (namespace: OciNamespace): namespace is OciNamespace & { readonly path: string } =>
  namespace.path !== undefined && namespace.path !== '';

export function planNamespaces(slots: Slots, namespaces: readonly OciNamespace[]): NamespacePlan {
  if (!has(namespaces, 'mount') || namespaces.some((entry) => entry.type === 'mount' && isPath(entry))) {
    throw new RuntimeError('RUNTIME_INVALID_SPEC', 'a container needs a mount namespace of its own');
  }
  const joined = namespaces.filter(isPath);
  const made = namespaces.filter((namespace) => !isPath(namespace));
  return {
    beforeClone: joined.filter(({ type }) => type === 'pid').flatMap((namespace) => join(slots, namespace)),
    cloneFlags: made.filter(({ type }) => type !== 'cgroup').reduce((flags, { type }) => flags | cloneFlags[type], 0),
    afterClone: joined.filter(({ type }) => type !== 'pid').flatMap((namespace) => join(slots, namespace)),
    newCgroupNamespace: made.some(({ type }) => type === 'cgroup'),
  };
}

/** The text of `/proc/<pid>/uid_map`. */
export const formatIdMap = (mappings: readonly OciIdMapping[]): string =>
  mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
