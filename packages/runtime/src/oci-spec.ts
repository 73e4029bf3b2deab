/**
 * The OCI runtime configuration for Linux, as a type: what `config.json` holds, field for field.
 *
 * Field names are the specification's. What an engine for Linux doesn't use (other platforms, VMs) is left out.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config.md
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md
 */
export interface OciSpec {
  /** The version of the specification that this configuration keeps to, such as `1.3.0`. */
  readonly ociVersion: string;
  readonly process?: OciProcess | undefined;
  readonly root?: OciRoot | undefined;
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly mounts?: readonly OciMount[] | undefined;
  readonly hooks?: OciHooks | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly linux?: OciLinux | undefined;
}

export interface OciProcess {
  readonly terminal?: boolean | undefined;
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined;
  readonly user: OciUser;
  readonly args?: readonly string[] | undefined;
  /** `NAME=value` each. */
  readonly env?: readonly string[] | undefined;
  readonly cwd: string;
  readonly capabilities?: OciCapabilities | undefined;
  readonly rlimits?: readonly OciRlimit[] | undefined;
  readonly noNewPrivileges?: boolean | undefined;
  readonly apparmorProfile?: string | undefined;
  readonly selinuxLabel?: string | undefined;
  readonly oomScoreAdj?: number | undefined;
  readonly scheduler?: OciScheduler | undefined;
  readonly ioPriority?: { readonly class: string; readonly priority: number } | undefined;
  readonly execCPUAffinity?: { readonly initial?: string | undefined; readonly final?: string | undefined } | undefined;
}

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly umask?: number | undefined;
  readonly additionalGids?: readonly number[] | undefined;
}

/** Sets of names such as `CAP_CHOWN`. A set that is left out is empty. */
export interface OciCapabilities {
  readonly bounding?: readonly string[] | undefined;
  readonly effective?: readonly string[] | undefined;
  readonly inheritable?: readonly string[] | undefined;
  readonly permitted?: readonly string[] | undefined;
  readonly ambient?: readonly string[] | undefined;
}

/** A resource limit; `RLIM_INFINITY` is 2⁶⁴ − 1, and so a `bigint`. */
export interface OciRlimit {
  /** `RLIMIT_NOFILE` and its like. */
  readonly type: string;
  readonly soft: number | bigint;
  readonly hard: number | bigint;
}

export interface OciScheduler {
  readonly policy: string;
  readonly nice?: number | undefined;
  readonly priority?: number | undefined;
  readonly flags?: readonly string[] | undefined;
  readonly runtime?: number | bigint | undefined;
  readonly deadline?: number | bigint | undefined;
  readonly period?: number | bigint | undefined;
}

export interface OciRoot {
  /** Absolute, or relative to the bundle. */
  readonly path: string;
  readonly readonly?: boolean | undefined;
}

export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface OciMount {
  readonly destination: string;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly options?: readonly string[] | undefined;
  readonly uidMappings?: readonly OciIdMapping[] | undefined;
  readonly gidMappings?: readonly OciIdMapping[] | undefined;
}

export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
}

export interface OciHooks {
  readonly prestart?: readonly OciHook[] | undefined;
  readonly createRuntime?: readonly OciHook[] | undefined;
  readonly createContainer?: readonly OciHook[] | undefined;
  readonly startContainer?: readonly OciHook[] | undefined;
  readonly poststart?: readonly OciHook[] | undefined;
  readonly poststop?: readonly OciHook[] | undefined;
}

export type OciNamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';

export interface OciNamespace {
  readonly type: OciNamespaceType;
  /** Join this one; without it, make a new one. */
  readonly path?: string | undefined;
}

export interface OciDevice {
  /** Character, unbuffered character, block, fifo. */
  readonly type: 'c' | 'u' | 'b' | 'p';
  readonly path: string;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Permission bits, as a number. */
  readonly fileMode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface OciLinux {
  readonly uidMappings?: readonly OciIdMapping[] | undefined;
  readonly gidMappings?: readonly OciIdMapping[] | undefined;
  readonly timeOffsets?: Readonly<Record<string, OciTimeOffset>> | undefined;
  readonly sysctl?: Readonly<Record<string, string>> | undefined;
  readonly resources?: OciResources | undefined;
  readonly cgroupsPath?: string | undefined;
  readonly namespaces?: readonly OciNamespace[] | undefined;
  readonly devices?: readonly OciDevice[] | undefined;
  readonly netDevices?: Readonly<Record<string, { readonly name?: string | undefined }>> | undefined;
  readonly seccomp?: LinuxSeccomp | undefined;
  readonly rootfsPropagation?: 'shared' | 'slave' | 'private' | 'unbindable' | undefined;
  readonly maskedPaths?: readonly string[] | undefined;
  readonly readonlyPaths?: readonly string[] | undefined;
  readonly mountLabel?: string | undefined;
  readonly personality?: { readonly domain: string; readonly flags?: readonly string[] | undefined } | undefined;
}

export interface OciTimeOffset {
  readonly secs?: number | undefined;
  readonly nanosecs?: number | undefined;
}

export interface OciResources {
  readonly devices?: readonly OciDeviceRule[] | undefined;
  readonly memory?: OciMemory | undefined;
  readonly cpu?: OciCpu | undefined;
  readonly pids?: { readonly limit?: number | undefined } | undefined;
  readonly blockIO?: OciBlockIo | undefined;
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number | bigint }[] | undefined;
  readonly network?: OciNetworkResources | undefined;
  readonly rdma?: Readonly<Record<string, OciRdmaLimits>> | undefined;
  /** cgroup v2 files and what to write into them. */
  readonly unified?: Readonly<Record<string, string>> | undefined;
}

/** A rule of the device cgroup. What is left out is a wildcard. */
export interface OciDeviceRule {
  readonly allow: boolean;
  readonly type?: 'a' | 'c' | 'b' | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Some of `r`, `w`, `m`. */
  readonly access?: string | undefined;
}

/** Bytes; −1 is no limit. */
export interface OciMemory {
  readonly limit?: number | undefined;
  readonly reservation?: number | undefined;
  /** Memory and swap together, as cgroup v1 counts. */
  readonly swap?: number | undefined;
  readonly kernel?: number | undefined;
  readonly kernelTCP?: number | undefined;
  readonly swappiness?: number | undefined;
  readonly disableOOMKiller?: boolean | undefined;
  readonly useHierarchy?: boolean | undefined;
  readonly checkBeforeUpdate?: boolean | undefined;
}

/** Times are microseconds. */
export interface OciCpu {
  readonly shares?: number | undefined;
  readonly quota?: number | undefined;
  readonly burst?: number | undefined;
  readonly period?: number | undefined;
  readonly realtimeRuntime?: number | undefined;
  readonly realtimePeriod?: number | undefined;
  readonly cpus?: string | undefined;
  readonly mems?: string | undefined;
  readonly idle?: number | undefined;
}

export interface OciBlockIo {
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
  readonly weightDevice?: readonly OciWeightDevice[] | undefined;
  readonly throttleReadBpsDevice?: readonly OciThrottleDevice[] | undefined;
  readonly throttleWriteBpsDevice?: readonly OciThrottleDevice[] | undefined;
  readonly throttleReadIOPSDevice?: readonly OciThrottleDevice[] | undefined;
  readonly throttleWriteIOPSDevice?: readonly OciThrottleDevice[] | undefined;
}

export interface OciWeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
}

export interface OciThrottleDevice {
  readonly major: number;
  readonly minor: number;
  /** Bytes, or operations, per second. */
  readonly rate: number | bigint;
}

export interface OciNetworkResources {
  readonly classID?: number | undefined;
  readonly priorities?: readonly { readonly name: string; readonly priority: number }[] | undefined;
}

export interface OciRdmaLimits {
  readonly hcaHandles?: number | undefined;
  readonly hcaObjects?: number | undefined;
}

/** A system call filter: what happens to each call, by name and by the values of its arguments. */
export interface LinuxSeccomp {
  /** `SCMP_ACT_ERRNO`, `SCMP_ACT_ALLOW` and so on: for calls that no rule matches. */
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number | undefined;
  /** `SCMP_ARCH_X86_64` and so on. The machine's own is always in. */
  readonly architectures?: readonly string[] | undefined;
  readonly flags?: readonly string[] | undefined;
  readonly listenerPath?: string | undefined;
  readonly listenerMetadata?: string | undefined;
  readonly syscalls?: readonly LinuxSyscall[] | undefined;
}

export interface LinuxSyscall {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number | undefined;
  readonly args?: readonly LinuxSeccompArg[] | undefined;
}

/** One comparison of one argument: unsigned, 64 bits. */
export interface LinuxSeccompArg {
  /** 0 to 5. */
  readonly index: number;
  /** What to compare with; for `SCMP_CMP_MASKED_EQ` the mask. */
  readonly value: number | bigint;
  /** For `SCMP_CMP_MASKED_EQ`: what the masked argument must equal. */
  readonly valueTwo?: number | bigint | undefined;
  /** `SCMP_CMP_EQ`, `NE`, `LT`, `LE`, `GT`, `GE` or `MASKED_EQ`, with the prefix. */
  readonly op: string;
}
