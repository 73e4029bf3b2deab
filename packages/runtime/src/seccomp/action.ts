import { RuntimeError } from '../errors.ts';

/** What a filter returns, from <linux/seccomp.h>. The low 16 bits carry the errno, or the tracer's message. */
export const KILL_PROCESS = 0x8000_0000;
const RETURN_VALUES: ReadonlyMap<string, number> = new Map([
  ['SCMP_ACT_KILL', 0],
  ['SCMP_ACT_KILL_THREAD', 0],
  ['SCMP_ACT_KILL_PROCESS', KILL_PROCESS],
  ['SCMP_ACT_TRAP', 0x0003_0000],
  ['SCMP_ACT_ERRNO', 0x0005_0000],
  ['SCMP_ACT_TRACE', 0x7ff0_0000],
  ['SCMP_ACT_LOG', 0x7ffc_0000],
  ['SCMP_ACT_ALLOW', 0x7fff_0000],
]);

const EPERM = 1;
export const ENOSYS = 38;
/** The kernel caps what a filter returns as errno at this. */
const MAX_ERRNO = 4095;

/** The kernel's value for one errno. */
export const errnoReturn = (errno: number): number => 0x0005_0000 | errno;

const invalid = (message: string): RuntimeError => new RuntimeError('RUNTIME_INVALID_SECCOMP', message);

/**
 * An action of a profile as the 32-bit value that a filter returns for it.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_SECCOMP`: no such action, one that can't be done here, or an errno that
 *   the action can't carry
 */
export function actionReturn(action: string, errno: number | undefined): number {
  if (action === 'SCMP_ACT_NOTIFY') {
    throw invalid('cannot use SCMP_ACT_NOTIFY in a seccomp profile: there is no agent here that answers notifications');
  }
  const value = RETURN_VALUES.get(action);
  if (value === undefined) throw invalid(`unknown action in the seccomp profile: ${JSON.stringify(action)}`);
  if (action !== 'SCMP_ACT_ERRNO' && action !== 'SCMP_ACT_TRACE') {
    if (errno !== undefined) throw invalid(`cannot give an errno with ${action} in a seccomp profile`);
    return value;
  }
  const data = errno ?? EPERM;
  const largest = action === 'SCMP_ACT_ERRNO' ? MAX_ERRNO : 0xffff;
  if (!Number.isInteger(data) || data < 0 || data > largest) {
    throw invalid(`errno of a seccomp action is not between 0 and ${String(largest)}: ${String(data)}`);
  }
  return value | data;
}

/** A default that lets calls through must let new ones through as well. */
export const isPermissive = (action: string): boolean =>
  action === 'SCMP_ACT_ALLOW' || action === 'SCMP_ACT_LOG' || action === 'SCMP_ACT_TRACE';

/** `SECCOMP_FILTER_FLAG_*`. */
const FLAGS: ReadonlyMap<string, number> = new Map([
  ['SECCOMP_FILTER_FLAG_TSYNC', 1],
  ['SECCOMP_FILTER_FLAG_LOG', 2],
  ['SECCOMP_FILTER_FLAG_SPEC_ALLOW', 4],
]);

/**
 * The flags to load a profile's filter with, for seccomp(2).
 *
 * A profile without `flags` gets `SPEC_ALLOW`, as runc has it: the mitigation that the flag lifts costs every program
 * much and is for programs that sandbox code in their own process.
 *
 * @throws {@link RuntimeError} `RUNTIME_INVALID_SECCOMP`: a flag that isn't one, or that only notifications need
 */
export function seccompFlags(profile: { readonly flags?: readonly string[] | undefined }): number {
  return (profile.flags ?? ['SECCOMP_FILTER_FLAG_SPEC_ALLOW']).reduce((bits, name) => {
    const bit = FLAGS.get(name);
    if (bit === undefined) throw invalid(`cannot use this flag in a seccomp profile: ${JSON.stringify(name)}`);
    return bits | bit;
  }, 0);
}
