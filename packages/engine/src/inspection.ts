import type { ContainerSummary, PublishedPortSummary } from './api.ts';
import type { ContainerRecord, NetworkRecord, ResolvedMount } from './container-record.ts';
import type { ContainerSpec } from './container-spec.ts';
import type { ContainerInspect } from './inspect.ts';
import type { ContainerPaths } from './layout.ts';
import { hostnameOf } from './oci-config.ts';
import { exitCodeOf } from './status.ts';
import type { Observation } from './status.ts';

/** Go's zero time, which Docker shows for "never". */
const NEVER = '0001-01-01T00:00:00Z';

/** How it ended, once it has: by the record, or by the monitor's word where nobody has recorded it yet. */
export const exitCodeSeen = (record: ContainerRecord, { status, exit }: Observation): number => {
  if (status === 'running') return 0;
  return record.state.phase === 'started' && status === 'exited' ? exitCodeOf(exit) : record.state.exitCode;
};

function inspectState(record: ContainerRecord, seen: Observation): ContainerInspect['State'] {
  const { state } = record;
  return {
    Status: seen.status,
    Running: seen.status === 'running',
    Paused: false,
    Restarting: seen.status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: false,
    Pid: seen.hostPid,
    ExitCode: exitCodeSeen(record, seen),
    Error: state.error,
    StartedAt: seen.startedAt ?? NEVER,
    FinishedAt: seen.exit?.finishedAt ?? state.finishedAt ?? NEVER,
  };
}

function inspectMount(mount: ResolvedMount): Record<string, unknown> {
  if (mount.type === 'tmpfs') {
    return { Type: 'tmpfs', Source: '', Destination: mount.target, Mode: '', RW: true, Propagation: '' };
  }
  const common = { Source: mount.source, Destination: mount.target, RW: !mount.readOnly };
  if (mount.type === 'volume') {
    return { Type: 'volume', Name: mount.name, ...common, Driver: 'local', Mode: 'z', Propagation: '' };
  }
  return { Type: 'bind', ...common, Mode: mount.readOnly ? 'ro' : '', Propagation: mount.propagation };
}

type PortBindings = Record<string, { HostIp: string; HostPort: string }[] | null>;

/** Published ports by container port; ports that are only exposed have `null`. */
function portBindings(exposed: readonly string[], ports: NetworkRecord['ports']): PortBindings {
  const bindings: PortBindings = Object.fromEntries(exposed.map((port) => [port, null]));
  for (const { protocol, hostAddress, hostPort, containerPort } of ports) {
    const key = `${String(containerPort)}/${protocol}`;
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }];
  }
  return bindings;
}

function inspectNetwork(record: ContainerRecord): ContainerInspect['NetworkSettings'] {
  const { network } = record.state;
  const mode = record.spec.network ?? 'bridge';
  const address = {
    Gateway: network?.gateway ?? '',
    IPAddress: network?.address ?? '',
    IPPrefixLen: network?.prefixLength ?? 0,
    MacAddress: network?.mac ?? '',
  };
  return {
    Bridge: network?.bridge ?? '',
    Ports: mode === 'host' ? {} : portBindings(network === undefined ? [] : record.exposedPorts, network?.ports ?? []),
    ...address,
    Networks: { [mode]: address },
  };
}

const requestedBindings = (spec: ContainerSpec): PortBindings => {
  const bindings: PortBindings = {};
  for (const { protocol, containerPort, hostAddress = '', hostPort } of spec.ports ?? []) {
    const key = `${String(containerPort)}/${protocol}`;
    bindings[key] = [
      ...(bindings[key] ?? []),
      { HostIp: hostAddress, HostPort: hostPort === undefined ? '' : String(hostPort) },
    ];
  }
  return bindings;
};

function hostConfig(record: ContainerRecord): Record<string, unknown> {
  const { spec } = record;
  const resources = spec.resources ?? {};
  const restart = spec.restart ?? { name: 'no' };
  return {
    Binds: record.mounts.flatMap((mount) =>
      mount.type === 'tmpfs'
        ? []
        : [`${mount.type === 'volume' ? mount.name : mount.source}:${mount.target}${mount.readOnly ? ':ro' : ''}`],
    ),
    Tmpfs: Object.fromEntries(
      record.mounts.flatMap((mount) => (mount.type === 'tmpfs' ? [[mount.target, mount.options.join(',')]] : [])),
    ),
    LogConfig: { Type: spec.log?.driver ?? 'json-file', Config: {} },
    NetworkMode: spec.network ?? 'bridge',
    PortBindings: requestedBindings(spec),
    RestartPolicy: {
      Name: restart.name,
      MaximumRetryCount: restart.name === 'on-failure' ? (restart.maximumRetryCount ?? 0) : 0,
    },
    AutoRemove: spec.autoRemove ?? false,
    CapAdd: spec.capAdd ?? null,
    CapDrop: spec.capDrop ?? null,
    Dns: spec.dns ?? [],
    DnsOptions: spec.dnsOptions ?? [],
    DnsSearch: spec.dnsSearch ?? [],
    ExtraHosts: spec.extraHosts ?? null,
    GroupAdd: spec.groupAdd ?? null,
    Privileged: spec.privileged ?? false,
    ReadonlyRootfs: spec.readOnlyRootfs ?? false,
    SecurityOpt: spec.noNewPrivileges === true ? ['no-new-privileges'] : null,
    ShmSize: spec.shmSizeBytes ?? 64 * 1024 ** 2,
    Sysctls: spec.sysctls ?? {},
    Init: spec.init ?? false,
    OomScoreAdj: resources.oomScoreAdj ?? 0,
    Memory: resources.memoryMaxBytes ?? 0,
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    MemorySwap: resources.memorySwapMaxBytes ?? (resources.memoryMaxBytes ?? 0) * 2,
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? false,
    NanoCpus: Math.round((resources.cpus ?? 0) * 1e9),
    CpuShares: resources.cpuShares ?? 0,
    CpuPeriod: resources.cpuPeriodUs ?? 0,
    CpuQuota: resources.cpuQuotaUs ?? 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    PidsLimit: resources.pidsMax ?? null,
    Ulimits: (spec.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
  };
}

function config(record: ContainerRecord): Record<string, unknown> {
  const { spec, process: command } = record;
  return {
    Hostname: hostnameOf(record),
    Domainname: spec.domainname ?? '',
    User: command.user,
    Tty: spec.tty ?? false,
    OpenStdin: spec.openStdin ?? false,
    ExposedPorts: Object.fromEntries(
      [...record.exposedPorts, ...Object.keys(requestedBindings(spec))].map((port) => [port, {}]),
    ),
    Env: command.env,
    Cmd: command.command.length === 0 ? null : command.command,
    Image: spec.image,
    WorkingDir: command.workingDir,
    Entrypoint: command.entrypoint.length === 0 ? null : command.entrypoint,
    Labels: record.labels,
    StopSignal: command.stopSignal,
    ...(spec.stopTimeoutMs === undefined ? {} : { StopTimeout: Math.round(spec.stopTimeoutMs / 1000) }),
  };
}

/** A container in the shape of `docker inspect`. Pure. */
export function inspectContainer(record: ContainerRecord, paths: ContainerPaths, seen: Observation): ContainerInspect {
  return {
    Id: record.id,
    Created: record.created,
    Path: record.process.args[0] ?? '',
    Args: record.process.args.slice(1),
    State: inspectState(record, seen),
    Image: record.imageId,
    ResolvConfPath: paths.resolvConf,
    HostnamePath: paths.hostname,
    HostsPath: paths.hosts,
    LogPath: record.spec.log?.driver === 'none' ? '' : paths.log,
    Name: `/${record.name}`,
    RestartCount: record.state.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    HostConfig: hostConfig(record),
    Mounts: record.mounts.map(inspectMount),
    Config: config(record),
    NetworkSettings: inspectNetwork(record),
  };
}

function portSummaries(record: ContainerRecord, running: boolean): readonly PublishedPortSummary[] {
  if (!running || record.spec.network === 'host') return [];
  const published = record.state.network?.ports ?? [];
  const exposed = record.exposedPorts.flatMap((entry): PublishedPortSummary[] => {
    const [port, protocol = 'tcp'] = entry.split('/');
    const containerPort = Number(port);
    if (published.some((other) => other.containerPort === containerPort && other.protocol === protocol)) return [];
    return [{ protocol: protocol as PublishedPortSummary['protocol'], containerPort }];
  });
  return [...published, ...exposed];
}

/** A container in a line of `ps`. Pure. */
export function summarise(record: ContainerRecord, seen: Observation): ContainerSummary {
  const date = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));
  return {
    id: record.id,
    name: record.name,
    image: record.spec.image,
    imageId: record.imageId,
    command: record.process.args,
    created: new Date(record.created),
    status: seen.status,
    exitCode: exitCodeSeen(record, seen),
    startedAt: date(seen.startedAt),
    finishedAt: date(seen.exit?.finishedAt ?? record.state.finishedAt),
    ports: portSummaries(record, seen.status === 'running'),
    labels: record.labels,
    network: record.spec.network ?? 'bridge',
    mounts: record.mounts.flatMap((mount) =>
      mount.type === 'tmpfs' ? [] : [mount.type === 'volume' ? mount.name : mount.source],
    ),
  };
}
