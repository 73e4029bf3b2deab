import { SYSCALLS_AARCH64 } from './tables/aarch64.ts';
import { SYSCALLS_ARM } from './tables/arm.ts';
import { SYSCALLS_X86 } from './tables/x86.ts';
import { SYSCALLS_X86_64 } from './tables/x86-64.ts';

/** A machine that we compile filters for. */
export type SeccompArch = 'x86_64' | 'aarch64';

/** One way into the kernel: a table of system calls, and how the kernel marks a call that came through it. */
export interface Abi {
  /** The name in a profile's `architectures`. */
  readonly name: string;
  /** `AUDIT_ARCH_*`, as in `seccomp_data.arch`. x32 shares that of x86_64. */
  readonly audit: number;
  /** What is added to each number of the table. */
  readonly base: number;
  /** Where a second run of numbers begins that doesn't grow: numbers below it that we don't know are new calls. */
  readonly special: number | undefined;
  /** Arguments are 64 bits wide. */
  readonly wide: boolean;
  readonly numbers: () => ReadonlyMap<string, number>;
}

/** Calls whose structures differ in x32, in the order of their numbers from 512 on. */
const X32_OWN = `
  rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending rt_sigtimedwait
  rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list get_robust_list vmsplice
  move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt
  getsockopt io_setup io_submit execveat preadv2 pwritev2`;

/** Calls of x86_64 that x32 never had. */
const X32_MISSING = `
  uselib _sysctl create_module get_kernel_syms query_module nfsservctl set_thread_area get_thread_area epoll_ctl_old
  epoll_wait_old vserver`;

/** The bit in the number that marks a call of the x32 ABI. */
export const X32_BIT = 0x4000_0000;

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

function parseTable(text: string): ReadonlyMap<string, number> {
  const table = new Map<string, number>();
  let next = 0;
  for (const word of words(text)) {
    if (word.charCodeAt(0) <= 0x39) next = Number(word);
    else table.set(word, next++);
  }
  return table;
}

function deriveX32(): ReadonlyMap<string, number> {
  const table = new Map(x86_64.numbers());
  for (const name of words(X32_MISSING)) table.delete(name);
  words(X32_OWN).forEach((name, index) => table.set(name, 512 + index));
  return table;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

const x86_64: Abi = {
  name: 'SCMP_ARCH_X86_64',
  audit: 0xc000_003e,
  base: 0,
  special: undefined,
  wide: true,
  numbers: once(() => parseTable(SYSCALLS_X86_64)),
};
const x86: Abi = {
  name: 'SCMP_ARCH_X86',
  audit: 0x4000_0003,
  base: 0,
  special: undefined,
  wide: false,
  numbers: once(() => parseTable(SYSCALLS_X86)),
};
const x32: Abi = {
  name: 'SCMP_ARCH_X32',
  audit: x86_64.audit,
  base: X32_BIT,
  special: 512,
  wide: true,
  numbers: once(deriveX32),
};
const aarch64: Abi = {
  name: 'SCMP_ARCH_AARCH64',
  audit: 0xc000_00b7,
  base: 0,
  special: undefined,
  wide: true,
  numbers: once(() => parseTable(SYSCALLS_AARCH64)),
};
const arm: Abi = {
  name: 'SCMP_ARCH_ARM',
  audit: 0x4000_0028,
  base: 0,
  special: 0x000f_0000,
  wide: false,
  numbers: once(() => parseTable(SYSCALLS_ARM)),
};

/** The machine's own ABI first, then those that it may be able to run besides. */
export const abisOf: Readonly<Record<SeccompArch, readonly [Abi, ...Abi[]]>> = {
  x86_64: [x86_64, x86, x32],
  aarch64: [aarch64, arm],
};

/** Every architecture that a profile may name; those of other machines can't be reached from this one. */
export const KNOWN_ARCHITECTURES: ReadonlySet<string> = new Set(
  words(`
    X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC
    PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB`).map((name) => `SCMP_ARCH_${name}`),
);

/**
 * The machine in our words, from Node's (`process.arch`): `x64` is `x86_64`, `arm64` is `aarch64`.
 *
 * `undefined` for a machine that we have no tables for.
 */
export function seccompArch(nodeArch: string): SeccompArch | undefined {
  return nodeArch === 'x64' ? 'x86_64' : nodeArch === 'arm64' ? 'aarch64' : undefined;
}
