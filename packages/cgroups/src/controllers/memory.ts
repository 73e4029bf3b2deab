import type { ControllerGroup } from '../controller.ts';
import { parseFlatKeyed, parseNumber, readInterfaceFile, readOptional } from '../interface-file.ts';
import {
  checkInteger,
  checkMaximum,
  formatMaximum,
  invalidLimit,
  isUnlimited,
  unsupportedLimit,
} from '../limit-value.ts';
import type { CgroupLimits, CgroupMaximum } from '../limits.ts';
import { write, writeEntry, type CgroupWrite } from '../step.ts';

const MAX_V1 = 'memory.limit_in_bytes';
const RESERVATION_V1 = 'memory.soft_limit_in_bytes';
export const SWAP_MAX_V1 = 'memory.memsw.limit_in_bytes';
const SWAPPINESS_V1 = 'memory.swappiness';
const OOM_CONTROL_V1 = 'memory.oom_control';
const CURRENT_V1 = 'memory.usage_in_bytes';
const PEAK_V1 = 'memory.max_usage_in_bytes';

const MAX_V2 = 'memory.max';
const LOW_V2 = 'memory.low';
const SWAP_MAX_V2 = 'memory.swap.max';
const CURRENT_V2 = 'memory.current';
const PEAK_V2 = 'memory.peak';
const EVENTS_V2 = 'memory.events';

const STAT = 'memory.stat';

/** The limits of a group that is not new: some changes depend on them. Memory and swap together, on v2 too. */
export interface MemoryMaxima {
  readonly memoryMaxBytes: CgroupMaximum;
  readonly memorySwapMaxBytes: CgroupMaximum;
}

export interface MemoryStats {
  readonly currentBytes: bigint;
  /** The most there ever was; `undefined` on v2 before Linux 5.19. */
  readonly peakBytes: bigint | undefined;
  readonly limitBytes: bigint | 'max';
  /** Page cache, tmpfs and shared memory included. */
  readonly cacheBytes: bigint;
  /** The part of the cache that is given up first; Docker shows `currentBytes` without it. */
  readonly inactiveFileBytes: bigint;
  readonly anonymousBytes: bigint;
  readonly swapBytes: bigint;
}

const UNLIMITED: MemoryMaxima = { memoryMaxBytes: 'max', memorySwapMaxBytes: 'max' };

/**
 * The writes that set memory limits, in an order the kernel accepts. Pure.
 *
 * @param present - the limits now; those of a new group when left out
 */
export function planMemory(
  limits: CgroupLimits,
  group: ControllerGroup,
  present: MemoryMaxima = UNLIMITED,
): readonly CgroupWrite[] {
  const wanted = checkMaxima(limits, present);
  return [
    ...(group.version === 1 ? planMaximaV1 : planMaximaV2)(limits, group, { wanted, present }),
    ...planReservation(limits, group),
    ...planSwappiness(limits, group),
    ...planOomKill(limits, group),
  ];
}

function checkMaxima(limits: CgroupLimits, present: MemoryMaxima): MemoryMaxima {
  const memory = checkMaximum('memoryMaxBytes', limits.memoryMaxBytes ?? present.memoryMaxBytes, { min: 1 });
  const swap = checkMaximum('memorySwapMaxBytes', limits.memorySwapMaxBytes ?? present.memorySwapMaxBytes, { min: 1 });
  const consistent = swap === 'max' || (memory !== 'max' && memory <= swap);
  if (consistent) return { memoryMaxBytes: memory, memorySwapMaxBytes: swap };
  if (limits.memorySwapMaxBytes === undefined) {
    const expected = `at most the limit of memory and swap together, ${String(swap)}; raise memorySwapMaxBytes too`;
    throw invalidLimit('memoryMaxBytes', limits.memoryMaxBytes, expected);
  }
  throw invalidLimit('memorySwapMaxBytes', swap, `at least memoryMaxBytes (${String(memory)}), or 'max'`);
}

interface Change {
  readonly wanted: MemoryMaxima;
  readonly present: MemoryMaxima;
}

function planMaximaV1(limits: CgroupLimits, group: ControllerGroup, { wanted, present }: Change): CgroupWrite[] {
  const memory = write(group, MAX_V1, formatMaximum(wanted.memoryMaxBytes, 1));
  const swap = write(group, SWAP_MAX_V1, formatMaximum(wanted.memorySwapMaxBytes, 1));
  // At every moment memory must be at most memsw (EINVAL): when growing past it memsw goes first, otherwise memory.
  const grows = numeric(wanted.memoryMaxBytes) > numeric(present.memorySwapMaxBytes);
  return [
    ...(limits.memorySwapMaxBytes !== undefined && grows ? [swap] : []),
    ...(limits.memoryMaxBytes !== undefined ? [memory] : []),
    ...(limits.memorySwapMaxBytes !== undefined && !grows ? [swap] : []),
  ];
}

function planMaximaV2(limits: CgroupLimits, group: ControllerGroup, { wanted }: Change): CgroupWrite[] {
  const { memoryMaxBytes: memory, memorySwapMaxBytes: together } = wanted;
  // v2 limits swap alone. A new memory limit must keep the sum, so it moves the limit of swap too.
  const swap = together === 'max' || memory === 'max' ? 'max' : together - memory;
  return [
    ...(limits.memoryMaxBytes !== undefined ? [write(group, MAX_V2, memory)] : []),
    ...(limits.memorySwapMaxBytes !== undefined || swap !== 'max' ? [write(group, SWAP_MAX_V2, swap)] : []),
  ];
}

const numeric = (value: CgroupMaximum): number => (value === 'max' ? Infinity : value);

function planReservation({ memoryReservationBytes }: CgroupLimits, group: ControllerGroup): CgroupWrite[] {
  if (memoryReservationBytes === undefined) return [];
  const bytes = checkMaximum('memoryReservationBytes', memoryReservationBytes, { min: 0 });
  return [group.version === 1 ? write(group, RESERVATION_V1, formatMaximum(bytes, 1)) : write(group, LOW_V2, bytes)];
}

function planSwappiness({ memorySwappiness }: CgroupLimits, group: ControllerGroup): CgroupWrite[] {
  if (memorySwappiness === undefined) return [];
  if (group.version === 2) throw unsupportedLimit('memorySwappiness', 'cgroup v2 has no swappiness per group');
  return [write(group, SWAPPINESS_V1, checkInteger('memorySwappiness', memorySwappiness, { min: 0, max: 100 }))];
}

function planOomKill({ oomKillDisable }: CgroupLimits, group: ControllerGroup): CgroupWrite[] {
  if (oomKillDisable === undefined) return [];
  if (group.version === 1) return [writeEntry(group, OOM_CONTROL_V1, oomKillDisable ? '1' : '0')];
  if (oomKillDisable) throw unsupportedLimit('oomKillDisable', 'cgroup v2 cannot switch off the OOM killer');
  return [];
}

/** Reads the limits that {@link planMemory} has to know of a group that is not new. */
export function readMemoryMaxima(group: ControllerGroup): MemoryMaxima {
  const memory = readMaximum(group, group.version === 1 ? MAX_V1 : MAX_V2);
  const swap = readMaximum(group, group.version === 1 ? SWAP_MAX_V1 : SWAP_MAX_V2);
  if (group.version === 1 || swap === 'max') return { memoryMaxBytes: memory, memorySwapMaxBytes: swap };
  return { memoryMaxBytes: memory, memorySwapMaxBytes: memory === 'max' ? 'max' : memory + swap };
}

function readMaximum(group: ControllerGroup, file: string): CgroupMaximum {
  const value = parseNumber(readOptional(`${group.directory}/${file}`) ?? 'max');
  return value === 'max' || isUnlimited(value) ? 'max' : Number(value);
}

/** `undefined` when the controller is not enabled for this group. */
export function readMemoryStats(group: ControllerGroup): MemoryStats | undefined {
  const v1 = group.version === 1;
  const read = (file: string): string | undefined => readOptional(`${group.directory}/${file}`);
  const current = read(v1 ? CURRENT_V1 : CURRENT_V2);
  if (current === undefined) return undefined;
  const peak = read(v1 ? PEAK_V1 : PEAK_V2);
  const limit = parseNumber(read(v1 ? MAX_V1 : MAX_V2) ?? 'max');
  const stat = parseFlatKeyed(read(STAT) ?? '');
  // On v1 a name without "total_" leaves out the child groups.
  const of = (nameV1: string, nameV2: string): bigint => stat.get(v1 ? nameV1 : nameV2) ?? 0n;
  return {
    currentBytes: BigInt(current.trim()),
    peakBytes: peak === undefined ? undefined : BigInt(peak.trim()),
    limitBytes: limit === 'max' || isUnlimited(limit) ? 'max' : limit,
    cacheBytes: of('total_cache', 'file'),
    inactiveFileBytes: of('total_inactive_file', 'inactive_file'),
    anonymousBytes: of('total_rss', 'anon'),
    swapBytes: v1 ? of('total_swap', '') : BigInt(read('memory.swap.current')?.trim() ?? 0),
  };
}

/** How many processes the OOM killer took from this group; on v2 from its child groups too. */
export function readOomKills(group: ControllerGroup): number {
  const file = group.version === 1 ? OOM_CONTROL_V1 : EVENTS_V2;
  return Number(parseFlatKeyed(readInterfaceFile(`${group.directory}/${file}`)).get('oom_kill') ?? 0n);
}
