import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { release } from 'node:os';

import { probeCgroups } from '@tsc/cgroups';
import type { CgroupFacts } from '@tsc/cgroups';
import { allCapabilities, capabilityMask } from '@tsc/runtime';

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
    this.#facts ??= {
      arch: process.arch,
      kernelVersion: release(),
      thermalThrottleCpus: thermalThrottleCpus(),
      capabilities: ownCapabilities(),
    };
    return this.#facts;
  }
}

function ownCapabilities(): string[] {
  const permitted = /^CapPrm:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return allCapabilities.filter((name) => (capabilityMask([name]) & BigInt(`0x${permitted}`)) !== 0n);
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
