import { badValue, notSupported } from '../errors.ts';
import { parseBoolean } from '../flags/flag.ts';

export interface SecurityOptions {
  readonly noNewPrivileges?: boolean;
  readonly seccompProfile?: string;
}

/** `--security-opt` words together; `readFile` reads a seccomp profile. */
export function parseSecurityOptions(words: readonly string[], readFile: (path: string) => string): SecurityOptions {
  let options: SecurityOptions = {};
  for (const word of words) options = { ...options, ...parseOne(word, readFile) };
  return options;
}

function parseOne(word: string, readFile: (path: string) => string): SecurityOptions {
  const [, key = word, value] = /^([^=:]+)[=:](.*)$/.exec(word) ?? [];
  if (key === 'no-new-privileges') return { noNewPrivileges: value === undefined || parseBoolean(value) };
  if (value === undefined) throw badValue(`invalid --security-opt: "${word}"`);
  if (key === 'seccomp') {
    if (value === 'unconfined' || value === 'builtin') return { seccompProfile: value };
    return { seccompProfile: requireJson(readFile(value), value) };
  }
  // No AppArmor profile and no SELinux label is ever applied, so asking for none is granted.
  if ((key === 'apparmor' && value === 'unconfined') || (key === 'label' && value === 'disable')) return {};
  if (['apparmor', 'label', 'systempaths', 'writable-cgroups'].includes(key)) {
    throw notSupported(`--security-opt ${word}`);
  }
  throw badValue(`invalid --security-opt: "${word}"`);
}

function requireJson(profile: string, file: string): string {
  try {
    JSON.parse(profile);
    return profile;
  } catch {
    throw badValue(`compacting json for seccomp profile failed: ${file} is not JSON`);
  }
}
