import { native } from './binding.ts';

export const CLONE_NEWTIME: number = 0x80;
export const CLONE_NEWNS: number = 0x20000;
export const CLONE_NEWCGROUP: number = 0x2000000;
export const CLONE_NEWUTS: number = 0x4000000;
export const CLONE_NEWIPC: number = 0x8000000;
export const CLONE_NEWUSER: number = 0x10000000;
export const CLONE_NEWPID: number = 0x20000000;
export const CLONE_NEWNET: number = 0x40000000;

export const P_PIDFD: number = 3;
export const P_PID: number = 1;
export const WNOHANG: number = 1;
export const WEXITED: number = 4;
export const __WALL: number = 0x40000000;

export const pidfd_open = (pid: number, flags: number = 0): number => native().pidfd_open(pid, flags);

export const pidfd_send_signal = (pidfd: number, sig: number): void => {
  native().pidfd_send_signal(pidfd, sig);
};

/** How a child ended: `code` is CLD_EXITED (1), CLD_KILLED (2) or CLD_DUMPED (3), `status` its exit code or signal. */
export interface WaitResult {
  readonly pid: number;
  readonly code: number;
  readonly status: number;
}

/** Reaps a child. `undefined` with WNOHANG when none has ended. Blocks the event loop without it. */
export const waitid = (idtype: number, id: number, options: number): WaitResult | undefined =>
  native().waitid(idtype, id, options);

export const prctl = (option: number, arg2: number = 0, arg3: number = 0, arg4: number = 0, arg5: number = 0): number =>
  native().prctl(option, arg2, arg3, arg4, arg5);

/**
 * Makes new namespaces without entering them: a thread of its own calls `unshare(flags)`, opens each new namespace and
 * ends. Resolves to the descriptors, in the order of ascending flag values; each namespace lives while its descriptor,
 * a process in it or a bind mount of it does. A descriptor of a mount or pid namespace of a thread that is gone is of
 * little use: meant for CLONE_NEWNET, NEWUTS, NEWIPC and NEWCGROUP.
 */
export const unshare = (flags: number): Promise<number[]> => native().unshare(flags);

export interface SpawnOptions {
  /** Descriptor of the executable; run with `execveat(fd, "", …, AT_EMPTY_PATH)`, so a sealed memfd works. */
  readonly executable: number;
  readonly argv: readonly string[];
  readonly envp?: readonly string[] | undefined;
  /** Descriptor `fds[i]` of ours becomes descriptor `i` of the child; nothing else is inherited. */
  readonly fds: readonly number[];
}

export interface SpawnedProcess {
  readonly pid: number;
  readonly pidfd: number;
}

/**
 * Starts a program as a new session with `clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND)`: the cost
 * does not grow with Node's memory, and its other threads do not matter. Reap the child with
 * `waitid(P_PIDFD, pidfd, WEXITED | __WALL)`.
 */
export const spawn = (options: SpawnOptions): SpawnedProcess =>
  native().spawn(options.executable, options.argv, options.envp ?? [], options.fds);

export const BPF_PROG_TYPE_CGROUP_DEVICE: number = 15;
export const BPF_CGROUP_DEVICE: number = 6;
export const BPF_F_ALLOW_MULTI: number = 2;

/** `bpf(BPF_PROG_LOAD)`: returns the program's descriptor; the verifier's log is in the thrown error's message. */
export const bpf_prog_load = (type: number, instructions: Uint8Array, license: string): number =>
  native().bpf_prog_load(type, instructions, license);

/** `bpf(BPF_PROG_ATTACH)`: the program stays attached while `targetFd`'s cgroup lives. */
export const bpf_prog_attach = (targetFd: number, programFd: number, attachType: number, flags: number): void => {
  native().bpf_prog_attach(targetFd, programFd, attachType, flags);
};
