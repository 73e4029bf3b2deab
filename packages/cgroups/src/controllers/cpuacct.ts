import type { ControllerGroup } from '../controller.ts';
import { parseFlatKeyed, readOptional } from '../interface-file.ts';

const TOTAL_V1 = 'cpuacct.usage';
const USER_V1 = 'cpuacct.usage_user';
const SYSTEM_V1 = 'cpuacct.usage_sys';

const STAT_V2 = 'cpu.stat';

export interface CpuTime {
  readonly totalNs: bigint;
  readonly userNs: bigint;
  readonly systemNs: bigint;
}

/** CPU time used by the processes of this group and its child groups; `undefined` when v1 does not account for it. */
export function readCpuTime(group: ControllerGroup): CpuTime | undefined {
  return group.version === 1 ? readCpuTimeV1(group) : readCpuTimeV2(group);
}

function readCpuTimeV1({ directory }: ControllerGroup): CpuTime | undefined {
  const read = (file: string): bigint => BigInt(readOptional(`${directory}/${file}`)?.trim() ?? 0);
  const total = readOptional(`${directory}/${TOTAL_V1}`);
  if (total === undefined) return undefined;
  return { totalNs: BigInt(total.trim()), userNs: read(USER_V1), systemNs: read(SYSTEM_V1) };
}

function readCpuTimeV2({ directory }: ControllerGroup): CpuTime | undefined {
  const stat = parseFlatKeyed(readOptional(`${directory}/${STAT_V2}`) ?? '');
  const ns = (name: string): bigint => (stat.get(name) ?? 0n) * 1000n;
  if (!stat.has('usage_usec')) return undefined;
  return { totalNs: ns('usage_usec'), userNs: ns('user_usec'), systemNs: ns('system_usec') };
}
