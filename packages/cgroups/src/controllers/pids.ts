import type { ControllerGroup } from '../controller.ts';
import { parseNumber, readOptional } from '../interface-file.ts';
import { checkMaximum } from '../limit-value.ts';
import type { CgroupLimits } from '../limits.ts';
import { write, type CgroupWrite } from '../step.ts';

const MAX = 'pids.max';
const CURRENT = 'pids.current';

export interface PidsStats {
  /** Processes and threads. */
  readonly current: number;
  readonly limit: number | 'max';
}

/** Both versions have the same file and even say `max` alike. Pure. */
export const planPids = ({ pidsMax }: CgroupLimits, group: ControllerGroup): readonly CgroupWrite[] =>
  pidsMax === undefined ? [] : [write(group, MAX, checkMaximum('pidsMax', pidsMax, { min: 1 }))];

/** `undefined` when the controller is not enabled for this group. */
export function readPidsStats(group: ControllerGroup): PidsStats | undefined {
  const current = readOptional(`${group.directory}/${CURRENT}`);
  if (current === undefined) return undefined;
  const limit = parseNumber(readOptional(`${group.directory}/${MAX}`) ?? 'max');
  return { current: Number(current), limit: limit === 'max' ? 'max' : Number(limit) };
}
