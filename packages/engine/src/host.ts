import { existsSync, readdirSync } from 'node:fs';
import { release } from 'node:os';

import { probeCgroups } from '@tsc/cgroups';
import type { CgroupFacts } from '@tsc/cgroups';

import type { HostFacts } from './oci-config.ts';

/** What an engine finds out about its machine once, when it first needs it. */
export class Host {
  #cgroups: CgroupFacts | undefined;
  #facts: HostFacts | undefined;

  get cgroups(): CgroupFacts {
    this.#cgroups ??= probeCgroups();
    return this.#cgroups;
  }

  get facts(): HostFacts {
    this.#facts ??= { arch: process.arch, kernelVersion: release(), thermalThrottleCpus: thermalThrottleCpus() };
    return this.#facts;
  }
}

/** The CPUs whose `thermal_throttle` counters a container could spy through. Virtual machines have none. */
function thermalThrottleCpus(): number[] {
  const dir = '/sys/devices/system/cpu';
  if (!existsSync(`${dir}/cpu0/thermal_throttle`)) return [];
  return readdirSync(dir).flatMap((name) => {
    const number = /^cpu(\d+)$/.exec(name)?.[1];
    return number !== undefined && existsSync(`${dir}/${name}/thermal_throttle`) ? [Number(number)] : [];
  });
}
