import type { ContainerSpec } from './container-spec.ts';
import type { ContainerPaths } from './layout.ts';
import { readRecord, writeWhole } from './record-file.ts';

/** A mount with its source settled: what `container.json` says of it. */
export type ResolvedMount =
  | {
      readonly type: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly propagation: string;
    }
  | {
      readonly type: 'volume';
      readonly name: string;
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly noCopy: boolean;
      /** Made for this container alone, and removed with it by `rm -v` or `--rm`. */
      readonly anonymous: boolean;
    }
  | { readonly type: 'tmpfs'; readonly target: string; readonly options: readonly string[] };

/** What the container is to run, from its image and from what was asked, settled when it is made. */
export interface ProcessRecord {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly stopSignal: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

export interface NetworkRecord {
  readonly bridge: string;
  /** `172.17.0.2` */
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string;
  readonly hostInterface: string;
  readonly ports: readonly {
    readonly protocol: 'tcp' | 'udp' | 'sctp';
    readonly hostAddress: string;
    readonly hostPort: number;
    readonly containerPort: number;
  }[];
}

export interface ContainerState {
  /** `started`: a start was begun and its end not yet recorded; whether it runs is told by the monitor's lock. */
  readonly phase: 'created' | 'started' | 'ended';
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** Why the last start failed. */
  readonly error: string;
  readonly restartCount: number;
  /** Somebody stopped it, so no policy starts it again. */
  readonly stopRequested: boolean;
  /** It waits for its next start by the restart policy. */
  readonly restarting: boolean;
  /** Since its last start. */
  readonly network: NetworkRecord | undefined;
}

/** `container.json`: everything about a container but its files. */
export interface ContainerRecord {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly imageId: string;
  /** Topmost first. */
  readonly layerDirs: readonly string[];
  readonly spec: ContainerSpec;
  readonly process: ProcessRecord;
  readonly mounts: readonly ResolvedMount[];
  readonly labels: Readonly<Record<string, string>>;
  readonly exposedPorts: readonly string[];
  readonly state: ContainerState;
}

export const initialState: ContainerState = {
  phase: 'created',
  startedAt: undefined,
  finishedAt: undefined,
  exitCode: 0,
  oomKilled: false,
  error: '',
  restartCount: 0,
  stopRequested: false,
  restarting: false,
  network: undefined,
};

export const readContainerRecord = (paths: ContainerPaths): ContainerRecord | undefined =>
  readRecord<ContainerRecord>(paths.record);

/**
 * Writes the record. A container that is removed when it ends doesn't outlive a power cut, so its record needn't either:
 * that keeps an fsync off the path of `run --rm`.
 */
export function writeContainerRecord(paths: ContainerPaths, record: ContainerRecord): void {
  writeWhole(paths.record, `${JSON.stringify(record, null, 2)}\n`, { durable: record.spec.autoRemove !== true });
}

/** Writes the record with some of its state changed, and returns it. */
export function updateState(
  paths: ContainerPaths,
  record: ContainerRecord,
  change: Partial<ContainerState>,
): ContainerRecord {
  const changed = { ...record, state: { ...record.state, ...change } };
  writeContainerRecord(paths, changed);
  return changed;
}
