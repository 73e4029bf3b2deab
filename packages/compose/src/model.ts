/** A Compose file, or several merged ones, with every short form written out. */
export interface ComposeModel {
  /** `name:` of the file; the caller derives one from the directory where it is absent. */
  readonly name: string | undefined;
  readonly services: ReadonlyMap<string, Service>;
  readonly networks: ReadonlyMap<string, Network>;
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly configs: ReadonlyMap<string, FileObject>;
  readonly secrets: ReadonlyMap<string, FileObject>;
}

/** One kind of container, in as many copies as `replicas` says. */
export interface Service {
  readonly name: string;
  readonly image: string | undefined;
  readonly build: Build | undefined;
  /** undefined: the image's own. A string of the file is split as a shell would. */
  readonly command: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  /** A variable without a value takes the caller's, and is left out when that has none. */
  readonly environment: ReadonlyMap<string, string | undefined>;
  readonly envFiles: readonly EnvFile[];
  readonly ports: readonly Port[];
  /** `80`, `80/udp` */
  readonly expose: readonly string[];
  readonly volumes: readonly VolumeMount[];
  /** By name; `default` is implied unless `networkMode` is set. */
  readonly networks: ReadonlyMap<string, NetworkAttachment>;
  readonly networkMode: string | undefined;
  readonly dependsOn: ReadonlyMap<string, Dependency>;
  readonly healthcheck: Healthcheck | undefined;
  readonly restart: string | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly user: string | undefined;
  readonly workingDir: string | undefined;
  readonly containerName: string | undefined;
  readonly hostname: string | undefined;
  readonly domainname: string | undefined;
  /** `host:address` */
  readonly extraHosts: readonly string[];
  readonly secrets: readonly FileGrant[];
  readonly configs: readonly FileGrant[];
  /** Started only with one of these profiles, or by name; none: always. */
  readonly profiles: readonly string[];
  readonly replicas: number;
  readonly resources: Resources;
  readonly logging: Logging | undefined;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly init: boolean;
  readonly privileged: boolean;
  readonly readOnly: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly securityOpt: readonly string[];
  readonly tmpfs: readonly string[];
  readonly ulimits: ReadonlyMap<string, { readonly soft: number; readonly hard: number }>;
  readonly sysctls: ReadonlyMap<string, string>;
  readonly devices: readonly string[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly groupAdd: readonly string[];
  readonly shmSizeBytes: number | undefined;
  readonly stopSignal: string | undefined;
  readonly stopGracePeriodMs: number | undefined;
  readonly platform: string | undefined;
  readonly pullPolicy: string | undefined;
}

export interface Build {
  readonly context: string;
  readonly dockerfile: string | undefined;
  readonly dockerfileInline: string | undefined;
  readonly args: ReadonlyMap<string, string | undefined>;
  readonly target: string | undefined;
  readonly tags: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly platforms: readonly string[];
  readonly noCache: boolean;
  readonly pull: boolean;
}

export interface EnvFile {
  readonly path: string;
  readonly required: boolean;
  readonly format: 'raw' | undefined;
}

export interface Port {
  readonly target: number;
  /** A port or a range; undefined: any free one. */
  readonly published: string | undefined;
  readonly hostAddress: string | undefined;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

export interface VolumeMount {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** A path, or a volume's name; undefined: anonymous. */
  readonly source: string | undefined;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface NetworkAttachment {
  readonly aliases: readonly string[];
  readonly ipv4Address: string | undefined;
  readonly ipv6Address: string | undefined;
  readonly priority: number;
}

export type DependencyCondition = 'service_started' | 'service_healthy' | 'service_completed_successfully';

export interface Dependency {
  readonly condition: DependencyCondition;
  /** Recreate the dependent too when Compose recreates the dependency. */
  readonly restart: boolean;
  /** false: a missing or failing dependency is only a warning. */
  readonly required: boolean;
}

export interface Healthcheck {
  /** `['NONE']`, `['CMD', …]` or `['CMD-SHELL', script]`; undefined: the image's own. */
  readonly test: readonly string[] | undefined;
  readonly intervalMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly startPeriodMs: number | undefined;
  readonly startIntervalMs: number | undefined;
  readonly retries: number | undefined;
}

/** A secret or config that a service may read. */
export interface FileGrant {
  readonly source: string;
  readonly target: string | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly mode: number | undefined;
}

export interface Resources {
  readonly memoryMaxBytes: number | undefined;
  readonly memoryReservationBytes: number | undefined;
  readonly cpus: number | undefined;
  readonly pidsMax: number | undefined;
}

export interface Logging {
  readonly driver: string | undefined;
  readonly options: ReadonlyMap<string, string>;
}

export interface Network {
  readonly name: string | undefined;
  readonly driver: string | undefined;
  readonly driverOptions: ReadonlyMap<string, string>;
  readonly external: boolean;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly enableIpv6: boolean;
  readonly subnets: readonly Subnet[];
  readonly labels: ReadonlyMap<string, string>;
}

export interface Subnet {
  readonly subnet: string | undefined;
  readonly gateway: string | undefined;
  readonly ipRange: string | undefined;
}

export interface Volume {
  readonly name: string | undefined;
  readonly driver: string | undefined;
  readonly driverOptions: ReadonlyMap<string, string>;
  readonly external: boolean;
  readonly labels: ReadonlyMap<string, string>;
}

/** Where a secret's or config's bytes come from: exactly one of the first three, unless it is external. */
export interface FileObject {
  readonly file: string | undefined;
  readonly environment: string | undefined;
  readonly content: string | undefined;
  readonly external: boolean;
  readonly name: string | undefined;
}
