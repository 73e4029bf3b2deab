import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOUNT_ATTR__ATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from '@tsc/sys';

/** A mount's options by what the kernel does with them. */
export interface MountOptions {
  readonly bind: boolean;
  /** `rbind`: the mounts below come along. */
  readonly recursive: boolean;
  readonly attributesSet: number;
  readonly attributesClear: number;
  /** 0: left as it is. */
  readonly propagation: number;
  readonly propagationRecursive: boolean;
  /** The file system's own: `[key, value]`, or `[key]` for a flag. */
  readonly data: readonly (readonly [string] | readonly [string, string])[];
}

interface Attribute {
  readonly set: number;
  readonly clear: number;
}

const on = (set: number, clear = 0): Attribute => ({ set, clear });
const off = (clear: number): Attribute => ({ set: 0, clear });

const attributes: ReadonlyMap<string, Attribute> = new Map([
  ['ro', on(MOUNT_ATTR_RDONLY)],
  ['rw', off(MOUNT_ATTR_RDONLY)],
  ['nosuid', on(MOUNT_ATTR_NOSUID)],
  ['suid', off(MOUNT_ATTR_NOSUID)],
  ['nodev', on(MOUNT_ATTR_NODEV)],
  ['dev', off(MOUNT_ATTR_NODEV)],
  ['noexec', on(MOUNT_ATTR_NOEXEC)],
  ['exec', off(MOUNT_ATTR_NOEXEC)],
  // The kernel wants the whole field cleared before one of its values is set.
  ['noatime', on(MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME)],
  ['relatime', on(0, MOUNT_ATTR__ATIME)],
  ['strictatime', on(MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME)],
  ['nodiratime', on(MOUNT_ATTR_NODIRATIME)],
  ['diratime', off(MOUNT_ATTR_NODIRATIME)],
  ['nosymfollow', on(MOUNT_ATTR_NOSYMFOLLOW)],
  ['defaults', on(0)],
]);

const propagations: ReadonlyMap<string, { readonly flag: number; readonly recursive: boolean }> = new Map([
  ['private', { flag: MS_PRIVATE, recursive: false }],
  ['rprivate', { flag: MS_PRIVATE, recursive: true }],
  ['slave', { flag: MS_SLAVE, recursive: false }],
  ['rslave', { flag: MS_SLAVE, recursive: true }],
  ['shared', { flag: MS_SHARED, recursive: false }],
  ['rshared', { flag: MS_SHARED, recursive: true }],
  ['unbindable', { flag: MS_UNBINDABLE, recursive: false }],
  ['runbindable', { flag: MS_UNBINDABLE, recursive: true }],
]);

function splitData(option: string): readonly [string] | readonly [string, string] {
  const equals = option.indexOf('=');
  return equals === -1 ? [option] : [option.slice(0, equals), option.slice(equals + 1)];
}

/** Sorts the options of an OCI mount. What is neither attribute nor propagation goes to the file system, which may refuse it. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let attributesSet = 0;
  let attributesClear = 0;
  let propagation = { flag: 0, recursive: false };
  const data: (readonly [string] | readonly [string, string])[] = [];
  for (const option of options) {
    const attribute = attributes.get(option);
    const named = propagations.get(option);
    if (attribute !== undefined) {
      attributesSet = (attributesSet & ~attribute.clear) | attribute.set;
      attributesClear = (attributesClear & ~attribute.set) | attribute.clear;
    } else if (named !== undefined) propagation = named;
    else if (option !== 'bind' && option !== 'rbind') data.push(splitData(option));
  }
  return {
    bind: options.includes('bind') || options.includes('rbind'),
    recursive: options.includes('rbind'),
    attributesSet,
    attributesClear,
    propagation: propagation.flag,
    propagationRecursive: propagation.recursive,
    data,
  };
}
