import type { CgroupLimits, DeviceRule } from '@tsc/cgroups';
import { cpusToQuota } from '@tsc/cgroups';
import { defaultSpec, parseDockerProfile, resolveCapabilities, seccompArch } from '@tsc/runtime';
import type { DefaultSpecOptions, OciDeviceRule, OciMount, OciNamespace, OciSpec, ResolvedUser } from '@tsc/runtime';

import type { ContainerRecord, ResolvedMount } from './container-record.ts';
import type { ContainerSpec, ResourceSpec } from './container-spec.ts';
import { EngineError } from './errors.ts';
import type { ContainerPaths } from './layout.ts';

/** Facts of the machine that a configuration depends on. */
export interface HostFacts {
  readonly arch: string;
  readonly kernelVersion: string;
  readonly thermalThrottleCpus: readonly number[];
  /** What this process may pass on; a machine in a machine may lack some. */
  readonly capabilities: readonly string[];
}

export interface OciConfigParts {
  readonly record: ContainerRecord;
  readonly paths: ContainerPaths;
  readonly user: ResolvedUser;
  readonly cgroupPath: string;
  readonly hostFacts: HostFacts;
}

/** The files that a container sees in place of its image's. */
function networkFiles(paths: ContainerPaths, spec: ContainerSpec): OciMount[] {
  const taken = new Set((spec.mounts ?? []).map(({ target }) => target));
  return [
    { destination: '/etc/resolv.conf', source: paths.resolvConf },
    { destination: '/etc/hostname', source: paths.hostname },
    { destination: '/etc/hosts', source: paths.hosts },
  ]
    .filter(({ destination }) => !taken.has(destination))
    .map((mount) => ({ ...mount, type: 'bind', options: ['rbind', 'rprivate'] }));
}

function ociMount(mount: ResolvedMount): OciMount {
  if (mount.type === 'tmpfs') {
    return { destination: mount.target, type: 'tmpfs', source: 'tmpfs', options: mount.options };
  }
  const propagation = mount.type === 'bind' ? mount.propagation : 'rprivate';
  const options = ['rbind', propagation, ...(mount.readOnly ? ['ro'] : [])];
  return { destination: mount.target, type: 'bind', source: mount.source, options };
}

function namespaces(spec: ContainerSpec): OciNamespace[] {
  const types = ['mount', 'uts', 'pid', 'ipc', 'cgroup'] as const;
  return [...types.map((type) => ({ type })), ...(spec.network === 'host' ? [] : [{ type: 'network' as const }])];
}

function environment(record: ContainerRecord, user: ResolvedUser): string[] {
  const { env } = record.process;
  const has = (name: string): boolean => env.some((entry) => entry.startsWith(`${name}=`));
  return [
    ...env,
    ...(has('HOSTNAME') ? [] : [`HOSTNAME=${hostnameOf(record)}`]),
    ...(record.spec.tty === true && !has('TERM') ? ['TERM=xterm'] : []),
    ...(has('HOME') ? [] : [`HOME=${user.home}`]),
  ];
}

export const hostnameOf = (record: ContainerRecord): string => record.spec.hostname ?? record.id.slice(0, 12);

function seccomp(
  spec: ContainerSpec,
  capabilities: readonly string[],
  facts: HostFacts,
): DefaultSpecOptions['seccomp'] {
  if (spec.seccompProfile === undefined || spec.seccompProfile === 'builtin') return undefined;
  if (spec.seccompProfile === 'unconfined') return 'unconfined';
  const arch = seccompArch(facts.arch);
  if (arch === undefined)
    throw new EngineError('ENGINE_INVALID_SPEC', `seccomp profiles are not supported on ${facts.arch}`);
  return parseDockerProfile(spec.seccompProfile, { capabilities, arch, kernelVersion: facts.kernelVersion });
}

/** IPv6 is off in a network that has none: its link-local addresses would be a way around the rules (CVE-2024-32473). */
const networkSysctls = (spec: ContainerSpec): Record<string, string> =>
  (spec.network ?? 'bridge') === 'bridge' ? { 'net.ipv6.conf.all.disable_ipv6': '1' } : {};

/** Where all are asked for, all that there are are meant. */
export function capabilitiesOf(
  {
    capAdd: add = [],
    capDrop: drop = [],
    privileged = false,
  }: Pick<ContainerSpec, 'capAdd' | 'capDrop' | 'privileged'>,
  facts: Pick<HostFacts, 'capabilities'>,
): readonly string[] {
  const resolved = resolveCapabilities({ add, drop, privileged });
  const wantsAll = privileged || add.some((name) => name.toUpperCase() === 'ALL');
  return wantsAll ? resolved.filter((name) => facts.capabilities.includes(name)) : resolved;
}

/** The whole OCI configuration of a container, from its record and the machine's facts. Pure. */
export function ociConfig({ record, paths, user, cgroupPath, hostFacts }: OciConfigParts): OciSpec {
  const { spec } = record;
  const capabilities = capabilitiesOf(spec, hostFacts);
  const oci = defaultSpec({
    args: record.process.args,
    env: environment(record, user),
    cwd: record.process.workingDir,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    hostname: hostnameOf(record),
    domainname: spec.domainname,
    terminal: spec.tty,
    readonlyRootfs: spec.readOnlyRootfs,
    capabilities,
    privileged: spec.privileged,
    noNewPrivileges: spec.noNewPrivileges,
    rlimits: spec.ulimits?.map(({ name, soft, hard }) => ({ type: `RLIMIT_${name.toUpperCase()}`, soft, hard })),
    oomScoreAdj: spec.resources?.oomScoreAdj,
    shmSizeBytes: spec.shmSizeBytes,
    mounts: [...networkFiles(paths, spec), ...record.mounts.map(ociMount)],
    cgroupsPath: cgroupPath,
    namespaces: namespaces(spec),
    sysctl: { ...networkSysctls(spec), ...spec.sysctls },
    seccomp: seccomp(spec, capabilities, hostFacts),
    arch: seccompArch(hostFacts.arch),
    thermalThrottleCpus: hostFacts.thermalThrottleCpus,
  });
  return spec.privileged === true ? withCapabilities(oci, capabilities) : oci;
}

/** All capabilities that the kernel knows may be more than this host has to give. */
function withCapabilities(oci: OciSpec, available: readonly string[]): OciSpec {
  if (oci.process === undefined) return oci;
  const capabilities = { bounding: available, effective: available, permitted: available };
  return { ...oci, process: { ...oci.process, capabilities: { ...oci.process.capabilities, ...capabilities } } };
}

const deviceRule = ({ allow, type = 'a', major = -1, minor = -1, access = 'rwm' }: OciDeviceRule): DeviceRule => ({
  type,
  major: major < 0 ? '*' : major,
  minor: minor < 0 ? '*' : minor,
  access,
  allow,
});

function cpuLimits(resources: ResourceSpec): Pick<CgroupLimits, 'cpuQuotaUs' | 'cpuPeriodUs'> {
  if (resources.cpus !== undefined) return cpusToQuota(resources.cpus);
  return { cpuQuotaUs: resources.cpuQuotaUs, cpuPeriodUs: resources.cpuPeriodUs };
}

/** Docker's rule: a memory limit allows as much swap again, unless it was said otherwise. */
function swapLimit(
  { memoryMaxBytes, memorySwapMaxBytes }: ResourceSpec,
  swapAccounting: boolean,
): CgroupLimits['memorySwapMaxBytes'] {
  if (memorySwapMaxBytes !== undefined) return memorySwapMaxBytes === -1 ? 'max' : memorySwapMaxBytes;
  return memoryMaxBytes === undefined || !swapAccounting ? undefined : memoryMaxBytes * 2;
}

/** What the container's cgroup enforces. Pure. */
export function cgroupLimits(
  oci: OciSpec,
  resources: ResourceSpec,
  facts: { readonly swapAccounting: boolean },
): CgroupLimits {
  return {
    memoryMaxBytes: resources.memoryMaxBytes,
    memoryReservationBytes: resources.memoryReservationBytes,
    memorySwapMaxBytes: swapLimit(resources, facts.swapAccounting),
    memorySwappiness: resources.memorySwappiness,
    oomKillDisable: resources.oomKillDisable,
    cpuShares: resources.cpuShares,
    cpusetCpus: resources.cpusetCpus,
    cpusetMems: resources.cpusetMems,
    pidsMax: resources.pidsMax === undefined || resources.pidsMax <= 0 ? undefined : resources.pidsMax,
    ...cpuLimits(resources),
    devices: (oci.linux?.resources?.devices ?? []).map(deviceRule),
  };
}
