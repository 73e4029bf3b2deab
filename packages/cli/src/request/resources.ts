import type { ResourceSpec } from '@tsc/engine';

import { badValue } from '../errors.ts';
import { integer, toggle, value } from '../flags/flag.ts';
import { parseSize, parseSizeOrUnlimited } from '../words/size.ts';
import { flagGroup, given } from './group.ts';
import type { FlagGroup } from './group.ts';

const bytes = { valueName: 'bytes' };

/** Limits; zero, as in Docker, means none. */
export const resourceGroup: FlagGroup<ResourceSpec | undefined> = flagGroup(
  {
    'cpu-period': integer('Limit CPU CFS (Completely Fair Scheduler) period'),
    'cpu-quota': integer('Limit CPU CFS (Completely Fair Scheduler) quota'),
    'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
    cpus: value('Number of CPUs', parseCpus, { valueName: 'decimal' }),
    'cpuset-cpus': value('CPUs in which to allow execution (0-3, 0,1)', parseCpuSet),
    'cpuset-mems': value('MEMs in which to allow execution (0-3, 0,1)', parseCpuSet),
    memory: value('Memory limit', parseSize, { ...bytes, short: 'm' }),
    'memory-reservation': value('Memory soft limit', parseSize, bytes),
    'memory-swap': value(
      "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
      parseSizeOrUnlimited,
      bytes,
    ),
    'memory-swappiness': value('Tune container memory swappiness (0 to 100)', (word) => between(word, -1, 100), {
      valueName: 'int',
    }),
    'oom-kill-disable': toggle('Disable OOM Killer'),
    'oom-score-adj': value("Tune host's OOM preferences (-1000 to 1000)", (word) => between(word, -1000, 1000), {
      valueName: 'int',
    }),
    'pids-limit': integer('Tune container pids limit (set -1 for unlimited)'),
  },
  (values) => {
    if (values.cpus !== undefined && (values['cpu-period'] !== undefined || values['cpu-quota'] !== undefined)) {
      const other = values['cpu-period'] === undefined ? 'CPU Quota' : 'CPU Period';
      throw badValue(`conflicting options: Nano CPUs and ${other} cannot both be set`);
    }
    const pids = values['pids-limit'];
    const resources = given<ResourceSpec>({
      memoryMaxBytes: unlessZero(values.memory),
      memoryReservationBytes: unlessZero(values['memory-reservation']),
      memorySwapMaxBytes: unlessZero(values['memory-swap']),
      memorySwappiness: values['memory-swappiness'] === -1 ? undefined : values['memory-swappiness'],
      oomKillDisable: values['oom-kill-disable'] || undefined,
      oomScoreAdj: values['oom-score-adj'],
      cpus: unlessZero(values.cpus),
      cpuShares: unlessZero(values['cpu-shares']),
      cpuPeriodUs: unlessZero(values['cpu-period']),
      cpuQuotaUs: unlessZero(values['cpu-quota']),
      cpusetCpus: values['cpuset-cpus'],
      cpusetMems: values['cpuset-mems'],
      pidsMax: pids === undefined || pids <= 0 ? undefined : pids,
    });
    return Object.keys(resources).length === 0 ? undefined : resources;
  },
);

const unlessZero = (amount: number | undefined): number | undefined => (amount === 0 ? undefined : amount);

function parseCpus(word: string): number {
  if (!/^(\d+(\.\d{1,9})?|\.\d{1,9})$/.test(word)) throw badValue(`"${word}" is not a number of CPUs, such as 1.5`);
  return Number(word);
}

function parseCpuSet(word: string): string {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(word)) throw badValue(`"${word}" is not a list such as 0-3,5`);
  return word;
}

function between(word: string, least: number, most: number): number {
  const amount = /^-?\d+$/.test(word) ? Number(word) : Number.NaN;
  if (!(amount >= least && amount <= most)) throw badValue(`"${word}" is not between ${least} and ${most}`);
  return amount;
}
