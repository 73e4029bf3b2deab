import { CgroupError } from './errors.ts';

/** A number, or no limit: `'max'`, or Docker's and OCI's -1. */
export type CgroupMaximum = number | 'max';

/** Whether processes may use a device. The last rule that matches decides; a device that none matches is allowed. */
export interface DeviceRule {
  /** `'b'` block, `'c'` character, `'a'` both. */
  readonly type: 'a' | 'b' | 'c';
  readonly major: number | '*';
  readonly minor: number | '*';
  /** Any of `r` (read), `w` (write) and `m` (mknod): `'rwm'`. */
  readonly access: string;
  readonly allow: boolean;
}

/** Limits of one block device, for reads and writes that reach it; `'max'` lifts one. */
export interface BlkioThrottle {
  readonly major: number;
  readonly minor: number;
  readonly readBytesPerSecond?: CgroupMaximum | undefined;
  readonly writeBytesPerSecond?: CgroupMaximum | undefined;
  readonly readOperationsPerSecond?: CgroupMaximum | undefined;
  readonly writeOperationsPerSecond?: CgroupMaximum | undefined;
}

/**
 * What a cgroup's processes may use together, those of its child groups included. What is left out stays as it is,
 * which in a new cgroup means no limit.
 */
export interface CgroupLimits {
  /** Memory, page cache included. Going below current use reclaims, then OOM-kills. */
  readonly memoryMaxBytes?: CgroupMaximum | undefined;
  /** What the group is pushed back to when memory gets scarce on the machine. */
  readonly memoryReservationBytes?: CgroupMaximum | undefined;
  /** Memory and swap together, as Docker counts: equal to `memoryMaxBytes` means no swap. Needs a memory limit. */
  readonly memorySwapMaxBytes?: CgroupMaximum | undefined;
  /** 0 to 100: how eagerly anonymous memory is swapped out. v1 only. */
  readonly memorySwappiness?: number | undefined;
  /** Processes over the memory limit wait instead of being killed. v1 only. */
  readonly oomKillDisable?: boolean | undefined;
  /** CPU time per period, at least 1000; {@link cpusToQuota} makes both. */
  readonly cpuQuotaUs?: CgroupMaximum | undefined;
  /** 1000 to 1000000, the kernel's default 100000. */
  readonly cpuPeriodUs?: number | undefined;
  /** Relative weight, 2 to 262144, default 1024; converted on v2 as runc and crun do, 1024 to 100. */
  readonly cpuShares?: number | undefined;
  /** `'0-3,7'` */
  readonly cpusetCpus?: string | undefined;
  /** Memory nodes: `'0'`. */
  readonly cpusetMems?: string | undefined;
  /** Processes and threads together, at least 1. */
  readonly pidsMax?: CgroupMaximum | undefined;
  /** Relative weight of block I/O, 10 to 1000. Needs the BFQ scheduler, or on v2 io.cost. */
  readonly blkioWeight?: number | undefined;
  readonly blkioThrottle?: readonly BlkioThrottle[] | undefined;
  /** Replaces all earlier rules. */
  readonly devices?: readonly DeviceRule[] | undefined;
}

/**
 * The quota for a number of CPUs, fractions included: 0.5 is 50 ms of every 100 ms.
 *
 * @throws {@link CgroupError} `CGROUP_LIMIT_INVALID` below 0.01, the kernel's smallest quota
 */
export function cpusToQuota(cpus: number): { readonly cpuQuotaUs: number; readonly cpuPeriodUs: number } {
  const cpuPeriodUs = 100_000;
  const cpuQuotaUs = Math.round(cpus * cpuPeriodUs);
  if (!(cpuQuotaUs >= 1000)) {
    throw new CgroupError('CGROUP_LIMIT_INVALID', `cannot limit to ${String(cpus)} cpus: must be at least 0.01`);
  }
  return { cpuQuotaUs, cpuPeriodUs };
}
