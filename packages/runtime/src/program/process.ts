import type { Operation } from '@tsc/sys';

import { capabilityMask } from '../capabilities.ts';
import { RuntimeError } from '../errors.ts';
import type { OciProcess } from '../oci-spec.ts';

const PR_SET_KEEPCAPS = 8;
const PR_SET_NO_NEW_PRIVS = 38;
const DEFAULT_UMASK = 0o022;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The kernel's numbers of `<sys/resource.h>`, the same on x86_64 and aarch64. */
const rlimits: ReadonlyMap<string, number> = new Map(
  [
    'CPU',
    'FSIZE',
    'DATA',
    'STACK',
    'CORE',
    'RSS',
    'NPROC',
    'NOFILE',
    'MEMLOCK',
    'AS',
    'LOCKS',
    'SIGPENDING',
    'MSGQUEUE',
    'NICE',
    'RTPRIO',
    'RTTIME',
  ].map((name, number) => [`RLIMIT_${name}`, number]),
);

function compileRlimits(ociProcess: OciProcess): Operation[] {
  return (ociProcess.rlimits ?? []).map(({ type, soft, hard }) => {
    const resource = rlimits.get(type);
    if (resource === undefined) throw new RuntimeError('RUNTIME_INVALID_SPEC', `unknown resource limit ${type}`);
    return { op: 'prlimit', resource, soft: BigInt(soft), hard: BigInt(hard) };
  });
}

/** The files that execvp would try for `args[0]`, in its order. */
export function execCandidates(ociProcess: OciProcess): readonly string[] {
  const name = ociProcess.args?.[0];
  if (name === undefined || name === '') throw new RuntimeError('RUNTIME_INVALID_SPEC', 'no command specified');
  if (name.includes('/')) return [name];
  const path = ociProcess.env?.findLast((entry) => entry.startsWith('PATH='))?.slice(5) ?? DEFAULT_PATH;
  return path.split(':').map((dir) => (dir === '' ? `./${name}` : `${dir}/${name}`));
}

/** Ids, groups and capabilities, in the only order that works: each step still needs what the next gives up. */
function compileIdentity(ociProcess: OciProcess): Operation[] {
  const { user } = ociProcess;
  const sets = ociProcess.capabilities;
  return [
    { op: 'setgroups', groups: user.additionalGids ?? [] },
    { op: 'setresgid', gid: user.gid },
    { op: 'prctl', option: PR_SET_KEEPCAPS, args: [1] },
    { op: 'setresuid', uid: user.uid },
    {
      op: 'capset',
      effective: capabilityMask(sets?.effective ?? []),
      permitted: capabilityMask(sets?.permitted ?? []),
      inheritable: capabilityMask(sets?.inheritable ?? []),
    },
    { op: 'capambient', mask: capabilityMask(sets?.ambient ?? []) },
  ];
}

export interface ProcessOptions {
  /** A compiled filter (an array of `struct sock_filter`) and the flags of seccomp(2). */
  readonly seccomp?: { readonly filter: Uint8Array; readonly flags: number } | undefined;
  /** A small init as the first process, which reaps and passes signals on. */
  readonly reap?: boolean | undefined;
}

/**
 * The end of every start program: from root with all capabilities to the user's process.
 *
 * The filter is loaded last when the process may gain no privileges. Otherwise loading it needs CAP_SYS_ADMIN, so it
 * comes before the capabilities go; the calls after it are ones that a usable filter allows.
 */
export function compileProcess(ociProcess: OciProcess, options: ProcessOptions = {}): Operation[] {
  const noNewPrivileges = ociProcess.noNewPrivileges === true;
  const seccomp: Operation[] = options.seccomp === undefined ? [] : [{ op: 'seccomp', ...options.seccomp }];
  return [
    ...compileRlimits(ociProcess),
    { op: 'keyring' },
    { op: 'chdir', path: ociProcess.cwd },
    { op: 'umask', mask: ociProcess.user.umask ?? DEFAULT_UMASK },
    { op: 'stdioOwner', uid: ociProcess.user.uid, gid: ociProcess.user.gid },
    { op: 'capbound', mask: capabilityMask(ociProcess.capabilities?.bounding ?? []) },
    ...(noNewPrivileges ? [] : seccomp),
    ...compileIdentity(ociProcess),
    ...(noNewPrivileges ? [{ op: 'prctl', option: PR_SET_NO_NEW_PRIVS, args: [1] } as const, ...seccomp] : []),
    ...(options.reap === true ? [{ op: 'reap' } as const] : []),
    {
      op: 'exec',
      candidates: execCandidates(ociProcess),
      argv: ociProcess.args ?? [],
      envp: ociProcess.env ?? [],
      dieWithMonitor: true,
    },
  ];
}
