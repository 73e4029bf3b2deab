import {
  assignments,
  boolean,
  count,
  durationMs,
  fieldsOf,
  labels,
  limit,
  listOf,
  mapOf,
  number,
  oneOf,
  sizeBytes,
  text,
  textOrList,
} from './fields.ts';
import type { Fields, KnownFields, Read } from './fields.ts';
import type {
  Build,
  Dependency,
  EnvFile,
  Healthcheck,
  Logging,
  NetworkAttachment,
  Resources,
  Service,
} from './model.ts';
import { errorAt } from './node.ts';
import type { ComposeNode } from './node.ts';
import { fileGrant, ports, volumeMount } from './short-forms.ts';
import { splitShellWords } from './units.ts';

const words = (list: string): readonly string[] => list.trim().split(/\s+/);

const SERVICE: KnownFields = {
  read: words(`annotations build cap_add cap_drop command configs container_name cpus depends_on deploy devices dns
    dns_search domainname entrypoint env_file environment expose extra_hosts group_add healthcheck hostname image init labels
    logging mem_limit mem_reservation network_mode networks pids_limit platform ports privileged profiles pull_policy
    read_only restart scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal sysctls tmpfs tty ulimits
    user volumes working_dir`),
  refused: words(`attach blkio_config cgroup cgroup_parent cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period
    cpu_rt_runtime cpu_shares cpuset credential_spec develop device_cgroup_rules dns_opt extends external_links gpus ipc
    isolation label_file links mac_address mem_swappiness memswap_limit models oom_kill_disable oom_score_adj pid post_start
    pre_stop provider pull_refresh_after runtime storage_opt use_api_socket userns_mode uts volumes_from`),
};

const BUILD: KnownFields = {
  read: words('args context dockerfile dockerfile_inline labels no_cache platforms pull tags target'),
  refused:
    words(`additional_contexts cache_from cache_to entitlements extra_hosts isolation network privileged provenance
    sbom secrets shm_size ssh ulimits`),
};

/** Reads one service. */
export function readService(node: ComposeNode, name: string): Service {
  const fields = fieldsOf(node, SERVICE);
  const list = (field: string): readonly string[] => fields.get(field, textOrList) ?? [];
  const flag = (field: string): boolean => fields.get(field, boolean) ?? false;
  checkService(node, fields);
  const deploy = fields.get('deploy', readDeploy);
  return {
    name,
    image: fields.get('image', text),
    build: fields.get('build', readBuild),
    command: fields.get('command', command),
    entrypoint: fields.get('entrypoint', command),
    environment: fields.get('environment', assignments) ?? new Map(),
    envFiles: fields.get('env_file', envFiles) ?? [],
    ports: fields.get('ports', ports) ?? [],
    expose: list('expose'),
    volumes: fields.get('volumes', listOf(volumeMount)) ?? [],
    networks: readNetworks(fields),
    networkMode: fields.get('network_mode', text),
    dependsOn: fields.get('depends_on', dependencies) ?? new Map(),
    healthcheck: fields.get('healthcheck', readHealthcheck),
    restart: fields.get('restart', text),
    labels: fields.get('labels', labels) ?? new Map(),
    annotations: fields.get('annotations', labels) ?? new Map(),
    user: fields.get('user', text),
    workingDir: fields.get('working_dir', text),
    containerName: fields.get('container_name', text),
    hostname: fields.get('hostname', text),
    domainname: fields.get('domainname', text),
    extraHosts: fields.get('extra_hosts', extraHosts) ?? [],
    secrets: fields.get('secrets', listOf(fileGrant)) ?? [],
    configs: fields.get('configs', listOf(fileGrant)) ?? [],
    profiles: list('profiles'),
    replicas: fields.get('scale', count) ?? deploy?.replicas ?? 1,
    resources: readResources(fields, deploy?.resources),
    logging: fields.get('logging', readLogging),
    tty: flag('tty'),
    stdinOpen: flag('stdin_open'),
    init: flag('init'),
    privileged: flag('privileged'),
    readOnly: flag('read_only'),
    capAdd: list('cap_add'),
    capDrop: list('cap_drop'),
    securityOpt: list('security_opt'),
    tmpfs: list('tmpfs'),
    ulimits: fields.get('ulimits', mapOf(readUlimit)) ?? new Map(),
    sysctls: fields.get('sysctls', labels) ?? new Map(),
    devices: list('devices'),
    dns: list('dns'),
    dnsSearch: list('dns_search'),
    groupAdd: list('group_add'),
    shmSizeBytes: fields.get('shm_size', sizeBytes),
    stopSignal: fields.get('stop_signal', text),
    stopGracePeriodMs: fields.get('stop_grace_period', durationMs),
    platform: fields.get('platform', text),
    pullPolicy: fields.get('pull_policy', text),
  };
}

function checkService(node: ComposeNode, fields: Fields): void {
  if (!fields.has('image') && !fields.has('build')) {
    throw errorAt(node, 'COMPOSE_SCHEMA', 'a service needs an image, or a build');
  }
  if (fields.has('network_mode') && fields.has('networks')) {
    throw errorAt(node, 'COMPOSE_SCHEMA', 'network_mode and networks exclude each other');
  }
}

const command: Read<readonly string[]> = (node) => {
  if (node.type === 'list') return listOf(text)(node);
  const found = splitShellWords(text(node));
  if (found === undefined) throw errorAt(node, 'COMPOSE_SCHEMA', 'a quote is not closed');
  return found;
};

const readBuild: Read<Build> = (node) => {
  if (node.type === 'scalar') return readBuild({ ...node, type: 'map', entries: new Map([['context', node]]) });
  const fields = fieldsOf(node, BUILD);
  return {
    context: fields.get('context', text) ?? '.',
    dockerfile: fields.get('dockerfile', text),
    dockerfileInline: fields.get('dockerfile_inline', text),
    args: fields.get('args', assignments) ?? new Map(),
    target: fields.get('target', text),
    tags: fields.get('tags', listOf(text)) ?? [],
    labels: fields.get('labels', labels) ?? new Map(),
    platforms: fields.get('platforms', listOf(text)) ?? [],
    noCache: fields.get('no_cache', boolean) ?? false,
    pull: fields.get('pull', boolean) ?? false,
  };
};

const envFiles: Read<readonly EnvFile[]> = (node) => (node.type === 'list' ? listOf(envFile)(node) : [envFile(node)]);

const envFile: Read<EnvFile> = (node) => {
  if (node.type !== 'map') return { path: text(node), required: true, format: undefined };
  const fields = fieldsOf(node, { read: ['path', 'required', 'format'] });
  const path = fields.get('path', text);
  if (path === undefined) throw errorAt(node, 'COMPOSE_SCHEMA', 'path is missing');
  return { path, required: fields.get('required', boolean) ?? true, format: fields.get('format', oneOf('raw')) };
};

const NO_ATTACHMENT: NetworkAttachment = { aliases: [], ipv4Address: undefined, ipv6Address: undefined, priority: 0 };

function readNetworks(fields: Fields): ReadonlyMap<string, NetworkAttachment> {
  if (fields.has('network_mode')) return new Map();
  const attachments = fields.get('networks', (node) =>
    node.type === 'list'
      ? new Map(listOf(text)(node).map((name) => [name, NO_ATTACHMENT] as const))
      : mapOf(readAttachment)(node),
  );
  return attachments === undefined || attachments.size === 0 ? new Map([['default', NO_ATTACHMENT]]) : attachments;
}

const readAttachment: Read<NetworkAttachment> = (node) => {
  if (node.type === 'scalar' && node.value === null) return NO_ATTACHMENT;
  const fields = fieldsOf(node, {
    read: ['aliases', 'ipv4_address', 'ipv6_address', 'priority'],
    refused: ['link_local_ips', 'mac_address', 'interface_name', 'gw_priority', 'driver_opts'],
  });
  return {
    aliases: fields.get('aliases', listOf(text)) ?? [],
    ipv4Address: fields.get('ipv4_address', text),
    ipv6Address: fields.get('ipv6_address', text),
    priority: fields.get('priority', number) ?? 0,
  };
};

const STARTED: Dependency = { condition: 'service_started', restart: false, required: true };

const dependencies: Read<ReadonlyMap<string, Dependency>> = (node) =>
  node.type === 'list' ? new Map(listOf(text)(node).map((name) => [name, STARTED])) : mapOf(dependency)(node);

const dependency: Read<Dependency> = (node) => {
  if (node.type === 'scalar' && node.value === null) return STARTED;
  const fields = fieldsOf(node, { read: ['condition', 'restart', 'required'] });
  const condition = oneOf('service_started', 'service_healthy', 'service_completed_successfully');
  return {
    condition: fields.get('condition', condition) ?? 'service_started',
    restart: fields.get('restart', boolean) ?? false,
    required: fields.get('required', boolean) ?? true,
  };
};

const readHealthcheck: Read<Healthcheck> = (node) => {
  const fields = fieldsOf(node, {
    read: ['test', 'interval', 'timeout', 'start_period', 'start_interval', 'retries', 'disable'],
  });
  const test = fields.get('test', (value) =>
    value.type === 'list' ? listOf(text)(value) : ['CMD-SHELL', text(value)],
  );
  const [kind] = test ?? [];
  if (kind !== undefined && kind !== 'NONE' && kind !== 'CMD' && kind !== 'CMD-SHELL') {
    throw errorAt(node, 'COMPOSE_SCHEMA', `test begins with NONE, CMD or CMD-SHELL, not ${kind}`);
  }
  return {
    test: fields.get('disable', boolean) === true ? ['NONE'] : test,
    intervalMs: fields.get('interval', durationMs),
    timeoutMs: fields.get('timeout', durationMs),
    startPeriodMs: fields.get('start_period', durationMs),
    startIntervalMs: fields.get('start_interval', durationMs),
    retries: fields.get('retries', count),
  };
};

/** `host=address`, `host:address`, or a map. */
const extraHosts: Read<readonly string[]> = (node) => {
  if (node.type === 'map')
    return [...mapOf(textOrList)(node)].flatMap(([host, list]) => list.map((ip) => `${host}:${ip}`));
  return listOf(text)(node).map((line) => line.replace('=', ':'));
};

interface Deploy {
  readonly replicas: number | undefined;
  readonly resources: Resources | undefined;
}

const readDeploy: Read<Deploy> = (node) => {
  const fields = fieldsOf(node, {
    read: ['replicas', 'resources'],
    refused: words('endpoint_mode labels mode placement restart_policy rollback_config update_config'),
  });
  return { replicas: fields.get('replicas', count), resources: fields.get('resources', deployResources) };
};

const deployResources: Read<Resources> = (node) => {
  const fields = fieldsOf(node, { read: ['limits', 'reservations'] });
  const limits = fields.get('limits', (value) => fieldsOf(value, { read: ['cpus', 'memory', 'pids'] }));
  const reservations = fields.get('reservations', (value) =>
    fieldsOf(value, { read: ['memory'], refused: ['cpus', 'devices', 'generic_resources'] }),
  );
  return {
    memoryMaxBytes: limits?.get('memory', sizeBytes),
    memoryReservationBytes: reservations?.get('memory', sizeBytes),
    cpus: limits?.get('cpus', number),
    pidsMax: limits?.get('pids', limit),
  };
};

function readResources(fields: Fields, deploy: Resources | undefined): Resources {
  return {
    memoryMaxBytes: fields.get('mem_limit', sizeBytes) ?? deploy?.memoryMaxBytes,
    memoryReservationBytes: fields.get('mem_reservation', sizeBytes) ?? deploy?.memoryReservationBytes,
    cpus: fields.get('cpus', number) ?? deploy?.cpus,
    pidsMax: fields.get('pids_limit', limit) ?? deploy?.pidsMax,
  };
}

const readLogging: Read<Logging> = (node) => {
  const fields = fieldsOf(node, { read: ['driver', 'options'] });
  return { driver: fields.get('driver', text), options: fields.get('options', labels) ?? new Map() };
};

const readUlimit: Read<{ readonly soft: number; readonly hard: number }> = (node) => {
  if (node.type === 'scalar') return { soft: limit(node), hard: limit(node) };
  const fields = fieldsOf(node, { read: ['soft', 'hard'] });
  const [soft, hard] = [fields.get('soft', limit), fields.get('hard', limit)];
  if (soft === undefined || hard === undefined) throw errorAt(node, 'COMPOSE_SCHEMA', 'want soft and hard');
  return { soft, hard };
};
