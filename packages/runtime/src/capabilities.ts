import { RuntimeError } from './errors.ts';

/** Every capability of Linux 6.x, each at the index that is its number. */
// prettier-ignore
const NAMES = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_SETGID',
  'CAP_SETUID', 'CAP_SETPCAP', 'CAP_LINUX_IMMUTABLE', 'CAP_NET_BIND_SERVICE', 'CAP_NET_BROADCAST', 'CAP_NET_ADMIN',
  'CAP_NET_RAW', 'CAP_IPC_LOCK', 'CAP_IPC_OWNER', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE', 'CAP_SYS_PACCT', 'CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_NICE', 'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME', 'CAP_SYS_TTY_CONFIG', 'CAP_MKNOD', 'CAP_LEASE', 'CAP_AUDIT_WRITE', 'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP', 'CAP_MAC_OVERRIDE', 'CAP_MAC_ADMIN', 'CAP_SYSLOG', 'CAP_WAKE_ALARM', 'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE',
] as const;

/** A capability as the kernel's headers and `config.json` write it: `'CAP_NET_RAW'`. */
export type Capability = (typeof NAMES)[number];

/** All 41 of them, in the order of their numbers: `CAP_CHOWN` is 0, `CAP_CHECKPOINT_RESTORE` is 40. */
export const allCapabilities: readonly Capability[] = NAMES;

/** The fourteen that Docker gives a container that asked for nothing. */
export const defaultCapabilities: readonly Capability[] = [
  ...(['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_MKNOD', 'CAP_NET_RAW', 'CAP_SETGID'] as const),
  ...(['CAP_SETUID', 'CAP_SETFCAP', 'CAP_SETPCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL'] as const),
  'CAP_AUDIT_WRITE',
];

/**
 * Reads one capability, with or without `CAP_`, in any case.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_CAPABILITY`: Linux has no such capability
 */
export function parseCapability(text: string): Capability {
  const upper = text.toUpperCase();
  const wanted = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  const known = NAMES.find((name) => name === wanted);
  if (known === undefined)
    throw new RuntimeError('RUNTIME_INVALID_CAPABILITY', `unknown capability: ${JSON.stringify(text)}`);
  return known;
}

/** The kernel's number of a capability, which is its bit in the masks of `/proc/<pid>/status`. */
export const capabilityNumber = (name: Capability): number => NAMES.indexOf(name);

/**
 * The set as a bit mask, as capset(2) and `/proc/<pid>/status` have it.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_CAPABILITY`: one of the names is unknown
 */
export function capabilityMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(capabilityNumber(parseCapability(name)))), 0n);
}

export interface CapabilityRequest {
  /** `--cap-add`: names, or `ALL`. */
  readonly add?: readonly string[] | undefined;
  /** `--cap-drop`: names, or `ALL`. */
  readonly drop?: readonly string[] | undefined;
  /** Everything, whatever `add` and `drop` say. */
  readonly privileged?: boolean | undefined;
  /** What the container has when nothing is asked; Docker's fourteen unless given. */
  readonly defaults?: readonly Capability[] | undefined;
}

/**
 * The capabilities of a container, by Docker's rules, in the order of their numbers and each once.
 *
 * `add: ['ALL']` is everything but what is dropped by name; `drop: ['ALL']` is exactly what is added by name; otherwise
 * the defaults without what is dropped, and then what is added: a name in both lists is there.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_CAPABILITY`: a name in either list is unknown
 */
export function resolveCapabilities(request: CapabilityRequest = {}): readonly Capability[] {
  const add = parseRequest(request.add);
  const drop = parseRequest(request.drop);
  if (request.privileged === true) return NAMES;
  if (add.all) return NAMES.filter((name) => !drop.names.has(name));
  const kept = drop.all ? [] : (request.defaults ?? defaultCapabilities).filter((name) => !drop.names.has(name));
  const wanted = new Set([...kept, ...add.names]);
  return NAMES.filter((name) => wanted.has(name));
}

function parseRequest(words: readonly string[] = []): {
  readonly all: boolean;
  readonly names: ReadonlySet<Capability>;
} {
  const named = words.filter((word) => word.toUpperCase() !== 'ALL');
  return { all: named.length < words.length, names: new Set(named.map(parseCapability)) };
}
