import { RuntimeError } from '../errors.ts';
import type { OciNamespace, OciNamespaceType } from '../oci-spec.ts';

/** What of `/proc/sys` is a namespace's own. All else is the machine's, and no container's business (CVE-2022-0811). */
const owned: readonly (readonly [OciNamespaceType, RegExp])[] = [
  ['network', /^net\//],
  [
    'ipc',
    /^(?:kernel\/(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|auto_msgmni|msg_next_id|sem_next_id|shm_next_id)|fs\/mqueue\/[a-z_]+)$/,
  ],
  ['uts', /^kernel\/(?:hostname|domainname)$/],
];

/** Separators are dots, or slashes where a part of the name has dots, such as a link `eth0.100`: the first one tells. */
function pathOf(name: string): string {
  const dot = name.indexOf('.');
  const slash = name.indexOf('/');
  return slash !== -1 && (dot === -1 || slash < dot) ? name : name.replace(/[./]/g, (it) => (it === '.' ? '/' : '.'));
}

/**
 * The path of a kernel parameter below `/proc/sys`, if it belongs to a namespace that the container has for itself.
 *
 * @throws RuntimeError `RUNTIME_INVALID_SPEC`
 */
export function sysctlPath(name: string, namespaces: readonly OciNamespace[]): string {
  const path = pathOf(name);
  const parts = path.split('/');
  if (parts.some((part) => !/^[\w.@:-]+$/.test(part) || part === '.' || part === '..')) {
    throw new RuntimeError('RUNTIME_INVALID_SPEC', `not the name of a kernel parameter: ${JSON.stringify(name)}`);
  }
  const type = owned.find(([, pattern]) => pattern.test(path))?.[0];
  if (type === undefined) {
    throw new RuntimeError('RUNTIME_INVALID_SPEC', `the kernel parameter ${name} belongs to no namespace`);
  }
  if (!namespaces.some((namespace) => namespace.type === type && (namespace.path ?? '') === '')) {
    throw new RuntimeError(
      'RUNTIME_INVALID_SPEC',
      `the kernel parameter ${name} is not the container's own: it has no ${type} namespace for itself`,
    );
  }
  return `sys/${path}`;
}
