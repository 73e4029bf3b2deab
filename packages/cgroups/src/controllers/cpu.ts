import type { ControllerGroup } from '../controller.ts';
import { parseFlatKeyed, readOptional } from '../interface-file.ts';
import { checkInteger, checkMaximum, formatMaximum } from '../limit-value.ts';
import type { CgroupLimits, CgroupMaximum } from '../limits.ts';
import { write, type CgroupWrite } from '../step.ts';

const SHARES_V1 = 'cpu.shares';
const PERIOD_V1 = 'cpu.cfs_period_us';
const QUOTA_V1 = 'cpu.cfs_quota_us';

const WEIGHT_V2 = 'cpu.weight';
const MAX_V2 = 'cpu.max';

const STAT = 'cpu.stat';

const DEFAULT_PERIOD_US = 100_000;

/** The quota and period of a group that is not new: v2 has both in one file. */
export interface CpuBandwidth {
  readonly cpuQuotaUs: CgroupMaximum;
  readonly cpuPeriodUs: number;
}

export interface ThrottlingStats {
  /** Periods in which the group ran and had a quota. */
  readonly periods: bigint;
  readonly throttledPeriods: bigint;
  readonly throttledNs: bigint;
}

/**
 * The writes that set CPU limits. Pure.
 *
 * @param present - quota and period now; left out for a new group
 */
export function planCpu(limits: CgroupLimits, group: ControllerGroup, present?: CpuBandwidth): readonly CgroupWrite[] {
  return [...planShares(limits, group), ...planBandwidth(limits, group, present)];
}

function planShares({ cpuShares }: CgroupLimits, group: ControllerGroup): CgroupWrite[] {
  if (cpuShares === undefined) return [];
  const shares = checkInteger('cpuShares', cpuShares, { min: 2, max: 262_144 });
  return [group.version === 1 ? write(group, SHARES_V1, shares) : write(group, WEIGHT_V2, sharesToWeight(shares))];
}

/**
 * A v2 weight (1 to 10000, default 100) for v1 shares (2 to 262144, default 1024), as runc 1.3.2 and crun 1.23 do: the
 * curve goes through both ends and the defaults, which the straight line used earlier missed (1024 became 39).
 *
 * @see https://github.com/kubernetes/kubernetes/issues/131216
 */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

function planBandwidth(limits: CgroupLimits, group: ControllerGroup, present?: CpuBandwidth): CgroupWrite[] {
  const { cpuQuotaUs, cpuPeriodUs } = limits;
  if (cpuQuotaUs === undefined && cpuPeriodUs === undefined) return [];
  const quota = checkMaximum('cpuQuotaUs', cpuQuotaUs ?? present?.cpuQuotaUs ?? 'max', { min: 1000 });
  const period = checkInteger('cpuPeriodUs', cpuPeriodUs ?? present?.cpuPeriodUs ?? DEFAULT_PERIOD_US, {
    min: 1000,
    max: 1_000_000,
  });
  if (group.version === 2) return [write(group, MAX_V2, `${String(quota)} ${String(period)}`)];
  const writePeriod = write(group, PERIOD_V1, period);
  const writeQuota = write(group, QUOTA_V1, formatMaximum(quota, 1));
  if (cpuPeriodUs === undefined) return [writeQuota];
  if (cpuQuotaUs === undefined) return [writePeriod];
  // The kernel checks quota/period against the parent's at each write, so a new period beside an old quota may be
  // refused (EINVAL) although the pair would do. Without a quota no period is wrong.
  const lifted = present === undefined || present.cpuQuotaUs === 'max' ? [] : [write(group, QUOTA_V1, '-1')];
  return [...lifted, writePeriod, writeQuota];
}

/** Reads what {@link planCpu} has to know of a group that is not new. */
export function readCpuBandwidth(group: ControllerGroup): CpuBandwidth {
  const read = (file: string): string | undefined => readOptional(`${group.directory}/${file}`)?.trim();
  const [quota = 'max', period = DEFAULT_PERIOD_US] =
    group.version === 2 ? (read(MAX_V2) ?? 'max').split(' ') : [read(QUOTA_V1), read(PERIOD_V1)];
  return { cpuQuotaUs: quota === 'max' || quota === '-1' ? 'max' : Number(quota), cpuPeriodUs: Number(period) };
}

/** `undefined` when the controller is not enabled for this group. */
export function readThrottling(group: ControllerGroup): ThrottlingStats | undefined {
  const stat = parseFlatKeyed(readOptional(`${group.directory}/${STAT}`) ?? '');
  const periods = stat.get('nr_periods');
  if (periods === undefined) return undefined;
  return {
    periods,
    throttledPeriods: stat.get('nr_throttled') ?? 0n,
    throttledNs: stat.get('throttled_time') ?? (stat.get('throttled_usec') ?? 0n) * 1000n,
  };
}
