import { readFileSync } from 'node:fs';
import { arch } from 'node:os';

import { probeOverlay } from '@tsc/overlay';
import { hasCode } from '@tsc/sys';

import type { EngineInfo } from './api.ts';
import type { Host } from './host.ts';
import manifest from '../package.json' with { type: 'json' };

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

function operatingSystem(): string {
  try {
    const line = readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith('PRETTY_NAME='));
    return line?.slice('PRETTY_NAME='.length).replaceAll('"', '') ?? 'Linux';
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'Linux';
    throw error;
  }
}

/** What this kernel lacks, and what is done instead. */
function fallbacks(host: Host): string[] {
  const missing: string[] = [];
  if (host.cgroups.mode !== 'v2')
    missing.push(`cgroup ${host.cgroups.mode}: processes join by the tasks files, no CLONE_INTO_CGROUP`);
  if (!host.cgroups.swapAccounting) missing.push('no swap accounting: --memory limits memory only');
  if (!probeOverlay().lowerdirPlus) missing.push('overlay without lowerdir+: fewer layers in one mount');
  return missing;
}

/** The part of `info` that is found out by asking the machine. */
export const describeSystem = (
  host: Host,
): Pick<EngineInfo, 'version' | 'operatingSystem' | 'architecture' | 'securityOptions' | 'fallbacks'> => ({
  version: manifest.version,
  operatingSystem: operatingSystem(),
  architecture: ARCHITECTURES[arch()] ?? arch(),
  securityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
  fallbacks: fallbacks(host),
});
