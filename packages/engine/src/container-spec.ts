/** What a caller asks for when making a container: plain data, in units, already parsed from words. */
export interface ContainerSpec {
  /** A name, an id or an id prefix of a stored image. */
  readonly image: string;
  /** `[a-zA-Z0-9][a-zA-Z0-9_.-]+`; made up when absent. */
  readonly name?: string | undefined;
  /** Replaces the image's Cmd. */
  readonly command?: readonly string[] | undefined;
  /** Replaces the image's Entrypoint (and drops its Cmd); `[]` clears it. */
  readonly entrypoint?: readonly string[] | undefined;
  /** `NAME=value`; `NAME` alone removes a variable that the image sets. */
  readonly env?: readonly string[] | undefined;
  readonly workingDir?: string | undefined;
  /** `user[:group]`, by name or number, as the container's own passwd and group files know it. */
  readonly user?: string | undefined;
  readonly groupAdd?: readonly string[] | undefined;
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** A terminal for the container's first process (`-t`). */
  readonly tty?: boolean | undefined;
  /** Keeps standard input open (`-i`). */
  readonly openStdin?: boolean | undefined;
  readonly mounts?: readonly MountSpec[] | undefined;
  readonly network?: NetworkMode | undefined;
  readonly ports?: readonly PortSpec[] | undefined;
  /** `host:address` lines for /etc/hosts; the address `host-gateway` is the bridge's own. */
  readonly extraHosts?: readonly string[] | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly dnsSearch?: readonly string[] | undefined;
  readonly dnsOptions?: readonly string[] | undefined;
  readonly resources?: ResourceSpec | undefined;
  readonly restart?: RestartPolicy | undefined;
  /** Removes the container when it has ended (`--rm`). */
  readonly autoRemove?: boolean | undefined;
  readonly readOnlyRootfs?: boolean | undefined;
  readonly privileged?: boolean | undefined;
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  readonly noNewPrivileges?: boolean | undefined;
  /** `'builtin'`, `'unconfined'`, or the text of a profile in Docker's JSON form. */
  readonly seccompProfile?: string | undefined;
  readonly shmSizeBytes?: number | undefined;
  readonly ulimits?: readonly UlimitSpec[] | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  /** Signal number or name; the image's StopSignal, then SIGTERM, when absent. */
  readonly stopSignal?: string | undefined;
  readonly stopTimeoutMs?: number | undefined;
  /** Runs tsc-init as pid 1, which forwards signals and reaps (`--init`). */
  readonly init?: boolean | undefined;
  readonly log?: LogSpec | undefined;
}

export type NetworkMode = 'bridge' | 'none' | 'host';

export type MountSpec =
  | {
      readonly type: 'bind';
      /** An absolute path of the host. */
      readonly source: string;
      readonly target: string;
      readonly readOnly?: boolean | undefined;
      /** Makes a missing source directory, as `-v` does and `--mount` doesn't. */
      readonly createSource?: boolean | undefined;
      readonly propagation?: 'private' | 'rprivate' | 'slave' | 'rslave' | 'shared' | 'rshared' | undefined;
    }
  | {
      readonly type: 'volume';
      /** A volume's name; anonymous when absent. */
      readonly source?: string | undefined;
      readonly target: string;
      readonly readOnly?: boolean | undefined;
      /** Doesn't copy what the image has at the target into an empty volume. */
      readonly noCopy?: boolean | undefined;
    }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      readonly sizeBytes?: number | undefined;
      readonly mode?: number | undefined;
      /** Further mount options as the kernel names them: `noexec`, `ro`, `uid=1000`. */
      readonly options?: readonly string[] | undefined;
    };

export interface PortSpec {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerPort: number;
  /** `0.0.0.0` when absent: every address of the host. */
  readonly hostAddress?: string | undefined;
  /** A free one is chosen when absent. */
  readonly hostPort?: number | undefined;
}

export interface ResourceSpec {
  readonly memoryMaxBytes?: number | undefined;
  readonly memoryReservationBytes?: number | undefined;
  /** Memory and swap together, -1 for no limit: Docker's `--memory-swap`. */
  readonly memorySwapMaxBytes?: number | undefined;
  readonly memorySwappiness?: number | undefined;
  readonly oomKillDisable?: boolean | undefined;
  readonly oomScoreAdj?: number | undefined;
  /** Cores, e.g. 0.5. */
  readonly cpus?: number | undefined;
  readonly cpuShares?: number | undefined;
  readonly cpuPeriodUs?: number | undefined;
  readonly cpuQuotaUs?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  readonly pidsMax?: number | undefined;
}

export interface UlimitSpec {
  /** `nofile`, `nproc`, … */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export type RestartPolicy =
  | { readonly name: 'no' }
  | { readonly name: 'always' }
  | { readonly name: 'unless-stopped' }
  | { readonly name: 'on-failure'; readonly maximumRetryCount?: number | undefined };

export interface LogSpec {
  readonly driver: 'json-file' | 'none';
  /** A file is rotated when it would pass this size; 20 MiB when absent. */
  readonly maxSizeBytes?: number | undefined;
  /** How many files are kept, the current one included; 5 when absent. */
  readonly maxFiles?: number | undefined;
}
