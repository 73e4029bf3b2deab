export type ContainerStatus = 'created' | 'running' | 'restarting' | 'exited' | 'dead';

/** What `inspect` prints for a container: Docker's names and shapes, so that scripts and templates work unchanged. */
export interface ContainerInspect {
  readonly Id: string;
  readonly Created: string;
  readonly Path: string;
  readonly Args: readonly string[];
  readonly State: {
    readonly Status: ContainerStatus;
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly Restarting: boolean;
    readonly OOMKilled: boolean;
    readonly Dead: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
  };
  readonly Image: string;
  readonly ResolvConfPath: string;
  readonly HostnamePath: string;
  readonly HostsPath: string;
  readonly LogPath: string;
  readonly Name: string;
  readonly RestartCount: number;
  readonly Driver: string;
  readonly Platform: string;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly Readonly<Record<string, unknown>>[];
  readonly Config: Readonly<Record<string, unknown>>;
  readonly NetworkSettings: {
    readonly Bridge: string;
    readonly Ports: Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>>;
    readonly Gateway: string;
    readonly IPAddress: string;
    readonly IPPrefixLen: number;
    readonly MacAddress: string;
    readonly Networks: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}
