import { allCapabilities, defaultCapabilities } from './capabilities.ts';
import type {
  LinuxSeccomp,
  OciDevice,
  OciDeviceRule,
  OciHooks,
  OciLinux,
  OciMount,
  OciNamespace,
  OciNamespaceType,
  OciProcess,
  OciResources,
  OciRlimit,
  OciSpec,
  OciUser,
} from './oci-spec.ts';
import type { SeccompArch } from './seccomp/architecture.ts';
import { defaultSeccompProfile } from './seccomp/default-profile.ts';

/** The `PATH` of a container whose image names none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Docker's `--shm-size` when nobody asks. */
const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;

/** Files of the host's kernel that tell a container about its neighbours, or let it harm them. */
const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts', // counts key strokes and packets: GHSA-6fw5-f8r9-fgfm
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap', // power use gives away what others compute: CVE-2020-8694
  '/sys/firmware',
];

/** What a container may read of the host's kernel, but not set. */
export const readonlyPaths: readonly string[] = [
  ...['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
];

/**
 * The paths to hide from a container: Docker's list. One that doesn't exist on the host needs no hiding.
 *
 * @param facts - `thermalThrottleCpus`: the numbers of the CPUs that have a `thermal_throttle` directory in sysfs, whose
 *   counters are a side channel; only some machines do
 */
export function maskedPaths(
  facts: { readonly thermalThrottleCpus?: readonly number[] | undefined } = {},
): readonly string[] {
  const throttles = (facts.thermalThrottleCpus ?? []).map(
    (cpu) => `/sys/devices/system/cpu/cpu${String(cpu)}/thermal_throttle`,
  );
  return [...MASKED_PATHS, ...throttles];
}

/** The nodes that every container has in `/dev`, whether its configuration lists them or not; all are for everybody. */
export const defaultDevices: readonly OciDevice[] = (
  [
    ...([
      ['null', 1, 3],
      ['zero', 1, 5],
      ['full', 1, 7],
      ['random', 1, 8],
      ['urandom', 1, 9],
      ['tty', 5, 0],
    ] as const),
  ] as const
).map(([name, major, minor]) => ({ type: 'c', path: `/dev/${name}`, major, minor, fileMode: 0o666, uid: 0, gid: 0 }));

/**
 * The device cgroup of a container: making any node is allowed, since CAP_MKNOD is what guards that, but opening only
 * these.
 */
export const defaultDeviceRules: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...defaultDevices.map(({ major, minor }): OciDeviceRule => ({
    allow: true,
    type: 'c',
    access: 'rwm',
    major,
    minor,
  })),
  { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' }, // console
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm' }, // ptmx
  { allow: true, type: 'c', major: 136, access: 'rwm' }, // pts/*
];

const ALL_DEVICES: readonly OciDeviceRule[] = [{ allow: true, access: 'rwm' }];

/** What each container has for itself. */
const NAMESPACES: readonly OciNamespaceType[] = ['mount', 'network', 'uts', 'pid', 'ipc', 'cgroup'];

export interface DefaultSpecOptions {
  /** The program and its arguments. */
  readonly args: readonly string[];
  /** `root.path`: absolute, or relative to the bundle; `rootfs` unless given. */
  readonly rootfsPath?: string | undefined;
  readonly readonlyRootfs?: boolean | undefined;
  /** `NAME=value` each; only `PATH` unless given. */
  readonly env?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  /** Root unless given. */
  readonly user?: OciUser | undefined;
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly terminal?: boolean | undefined;
  readonly consoleSize?: OciProcess['consoleSize'];
  /** As `resolveCapabilities` gives them; Docker's fourteen unless given. */
  readonly capabilities?: readonly string[] | undefined;
  /** No masks, no filter, all capabilities, all devices, sysfs and cgroups writable. */
  readonly privileged?: boolean | undefined;
  readonly noNewPrivileges?: boolean | undefined;
  readonly rlimits?: readonly OciRlimit[] | undefined;
  readonly oomScoreAdj?: number | undefined;
  readonly apparmorProfile?: string | undefined;
  /** The size of `/dev/shm`; 64 MiB unless given. */
  readonly shmSizeBytes?: number | undefined;
  /** More mounts, after the default ones. One with the destination of a default mount takes its place. */
  readonly mounts?: readonly OciMount[] | undefined;
  /** More devices; each is also allowed in the device cgroup. */
  readonly devices?: readonly OciDevice[] | undefined;
  /** More rules of the device cgroup, which come last and so win. */
  readonly deviceRules?: readonly OciDeviceRule[] | undefined;
  /** All but `devices`, which follow from the options above. */
  readonly resources?: Omit<OciResources, 'devices'> | undefined;
  readonly cgroupsPath?: string | undefined;
  /** New mount, network, uts, pid, ipc and cgroup namespaces unless given. */
  readonly namespaces?: readonly OciNamespace[] | undefined;
  /** Set over Docker's two: low ports and ping for everybody in the container's own network. */
  readonly sysctl?: Readonly<Record<string, string>> | undefined;
  /** A profile, or none. Docker's default unless given; none unless given where `privileged`. */
  readonly seccomp?: LinuxSeccomp | 'unconfined' | undefined;
  /** `unconfined` neither masks nor protects any path. */
  readonly systemPaths?: 'unconfined' | undefined;
  /** See {@link maskedPaths}. */
  readonly thermalThrottleCpus?: readonly number[] | undefined;
  /** Keeps the default filter to this machine's architectures. */
  readonly arch?: SeccompArch | undefined;
  readonly hooks?: OciHooks | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A whole OCI configuration for a Linux container with Docker's defaults, and what the options change of them. */
export function defaultSpec(options: DefaultSpecOptions): OciSpec {
  return {
    ociVersion: '1.3.0',
    process: defaultProcess(options),
    root: { path: options.rootfsPath ?? 'rootfs', readonly: options.readonlyRootfs ?? false },
    hostname: options.hostname,
    domainname: options.domainname,
    mounts: mergeMounts(defaultMounts(options), options.mounts ?? []),
    hooks: options.hooks,
    annotations: options.annotations,
    linux: defaultLinux(options),
  };
}

function defaultProcess(options: DefaultSpecOptions): OciProcess {
  const capabilities = capabilitiesOf(options);
  return {
    terminal: options.terminal ?? false,
    consoleSize: options.consoleSize,
    user: options.user ?? { uid: 0, gid: 0, additionalGids: [0] },
    args: options.args,
    env: options.env ?? [`PATH=${DEFAULT_PATH}`],
    cwd: options.cwd ?? '/',
    // Inheritable and ambient stay empty: they would give files' capabilities to programs run by non-root users.
    capabilities: {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: [],
      ambient: [],
    },
    rlimits: options.rlimits,
    noNewPrivileges: options.noNewPrivileges ?? false,
    oomScoreAdj: options.oomScoreAdj,
    apparmorProfile: options.apparmorProfile,
  };
}

function defaultLinux(options: DefaultSpecOptions): OciLinux {
  const open = options.privileged === true || options.systemPaths === 'unconfined';
  const namespaces = options.namespaces ?? NAMESPACES.map((type) => ({ type }));
  return {
    namespaces,
    cgroupsPath: options.cgroupsPath,
    resources: { ...options.resources, devices: deviceRules(options) },
    devices: options.devices ?? [],
    sysctl: { ...defaultSysctl(namespaces), ...options.sysctl },
    seccomp: seccompOf(options),
    maskedPaths: open ? [] : maskedPaths(options),
    readonlyPaths: open ? [] : readonlyPaths,
  };
}

const capabilitiesOf = ({ privileged, capabilities }: DefaultSpecOptions): readonly string[] =>
  privileged === true ? allCapabilities : (capabilities ?? defaultCapabilities);

function seccompOf(options: DefaultSpecOptions): LinuxSeccomp | undefined {
  if (options.seccomp !== undefined) return options.seccomp === 'unconfined' ? undefined : options.seccomp;
  if (options.privileged === true) return undefined;
  return defaultSeccompProfile({ capabilities: capabilitiesOf(options), arch: options.arch });
}

function deviceRules({
  privileged,
  devices = [],
  deviceRules: more = [],
}: DefaultSpecOptions): readonly OciDeviceRule[] {
  if (privileged === true) return ALL_DEVICES;
  const own = devices.flatMap(({ type, major, minor }): readonly OciDeviceRule[] =>
    type === 'p' ? [] : [{ allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access: 'rwm' }],
  );
  return [...defaultDeviceRules, ...own, ...more];
}

/** Safe because they are the container's own network's, whose ports and sockets the host doesn't share. */
function defaultSysctl(namespaces: readonly OciNamespace[]): Readonly<Record<string, string>> {
  const has = (wanted: OciNamespaceType): boolean =>
    namespaces.some(({ type, path = '' }) => type === wanted && path === '');
  if (!has('network')) return {};
  // In a user namespace the range would have to be one that is mapped.
  const ping = has('user') ? {} : { 'net.ipv4.ping_group_range': '0 2147483647' };
  return { 'net.ipv4.ip_unprivileged_port_start': '0', ...ping };
}

/** The kernel's file systems as Docker mounts them, in the order in which they must be. */
function defaultMounts({ privileged, shmSizeBytes = DEFAULT_SHM_BYTES }: DefaultSpecOptions): readonly OciMount[] {
  const safe = ['nosuid', 'noexec', 'nodev'];
  const host = privileged === true ? safe : [...safe, 'ro'];
  const mount = (
    destination: string,
    source: readonly [type: string, source: string],
    options: readonly string[],
  ): OciMount => ({
    destination,
    type: source[0],
    source: source[1],
    options,
  });
  return [
    mount('/proc', ['proc', 'proc'], safe),
    mount('/dev', ['tmpfs', 'tmpfs'], ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', ['devpts', 'devpts'], ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
    mount('/sys', ['sysfs', 'sysfs'], host),
    mount('/sys/fs/cgroup', ['cgroup', 'cgroup'], host),
    mount('/dev/mqueue', ['mqueue', 'mqueue'], safe),
    mount('/dev/shm', ['tmpfs', 'shm'], [...safe, 'mode=1777', `size=${String(shmSizeBytes)}`]),
  ];
}

/** A mount of the caller's on `/dev` takes the place of all that we would mount below it, too. */
function mergeMounts(defaults: readonly OciMount[], more: readonly OciMount[]): readonly OciMount[] {
  const taken = new Set(more.map(({ destination }) => destination));
  const hidden = (destination: string): boolean => taken.has('/dev') && destination.startsWith('/dev/');
  return [...defaults.filter(({ destination }) => !taken.has(destination) && !hidden(destination)), ...more];
}
