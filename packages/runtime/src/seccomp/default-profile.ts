import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from '../oci-spec.ts';
import { abisOf, type SeccompArch } from './architecture.ts';

/** What any container may call: all that acts on its own processes, files and sockets. */
const ALWAYS = `
  // files, by path and by descriptor
  _llseek access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat
  faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
  fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents
  getdents64 ioctl lchown lchown32 link linkat listmount lseek lstat lstat64 mkdir mkdirat mknod mknodat
  name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
  readahead readlink readlinkat readv rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs
  statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat
  utime utimensat utimensat_time64 utimes vmsplice write writev
  // extended attributes
  fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
  lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
  // waiting for and watching files; Linux AIO (but no io_uring)
  _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
  eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy
  io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set poll ppoll ppoll_time64
  pselect6 pselect6_time64 select signalfd signalfd4
  // memory
  brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect
  mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
  // processes and threads
  alarm arch_prctl execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid getpgrp getpid
  getppid getpriority getrlimit getrusage getsid gettid modify_ldt pause pidfd_open pidfd_send_signal prctl prlimit64
  process_mrelease restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
  sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
  sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address setpgid setpriority
  setrlimit setsid sysinfo times ugetrlimit uname uretprobe vfork wait4 waitid waitpid
  // signals
  kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill
  // who one is, and giving up what one may; the kernel checks the capability
  capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
  getresuid getresuid32 getuid getuid32 landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
  setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid
  setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
  // locks, queues and memory between processes
  futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl
  semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
  // sockets, once made; socketcall hides its arguments from a filter, so 32-bit x86 is not held to the families below
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
  // time; adjtimex may be asked by anybody and told by few
  adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
  clock_nanosleep_time64 getitimer getrandom gettimeofday nanosleep setitimer time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64
  // looking into one's own processes, which is safe since Linux 4.8
  process_vm_readv process_vm_writev ptrace
  // arm only
  arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls`;

/** What a capability opens besides. */
const WITH_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount umount2 unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime clock_settime64 settimeofday stime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of clone(2). */
const CLONE_NAMESPACES = 0x7e02_0000;
const EPERM = 1;
const ENOSYS = 38;

/** PER_LINUX, PER_LINUX32, both with UNAME26, and the value that only asks. */
const PERSONALITIES = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/**
 * The address families that a container may use: all but AF_ALG (38) and AF_VSOCK (40), as blocks that share their
 * upper bits.
 *
 * Masks, because the kernel takes the family from the low half of the argument alone: a comparison of all 64 bits would
 * let 2³² + 38 through as if it weren't AF_ALG.
 */
const FAMILY_BLOCKS: readonly (readonly [first: number, size: number])[] = [
  ...([
    [0, 32],
    [32, 4],
    [36, 2],
    [39, 1],
    [41, 1],
    [42, 2],
    [44, 4],
    [48, 16],
  ] as const),
];

export interface DefaultProfileOptions {
  /** The container's bounding set; each capability may open system calls of its own. */
  readonly capabilities: readonly string[];
  /** List the architectures of this machine only; without it those of all that we compile for. */
  readonly arch?: SeccompArch | undefined;
}

/**
 * The filter of a container that asked for none: what Docker's default profile allows, on Linux 4.8 or newer.
 *
 * Anything else fails with EPERM. Without CAP_SYS_ADMIN clone(2) makes no namespaces, and clone3(2) - whose flags a
 * filter can't see - fails with ENOSYS, upon which C libraries fall back to clone.
 *
 * @see https://docs.docker.com/engine/security/seccomp/
 */
export function defaultSeccompProfile(options: DefaultProfileOptions): LinuxSeccomp {
  const key = `${options.arch ?? ''} ${options.capabilities.join(' ')}`;
  const profile = profiles.get(key) ?? makeProfile(options);
  if (profiles.size >= MAX_PROFILES) profiles.clear();
  profiles.set(key, profile);
  return profile;
}

/** Equal requests get the same object, so that whoever compiles profiles can know one again. */
const profiles = new Map<string, LinuxSeccomp>();
const MAX_PROFILES = 64;

function makeProfile({ capabilities, arch }: DefaultProfileOptions): LinuxSeccomp {
  const opened = Object.entries(WITH_CAPABILITY).filter(([capability]) => capabilities.includes(capability));
  const names = [ALWAYS, ...opened.map(([, text]) => text)].flatMap(words);
  const abis = arch === undefined ? Object.values(abisOf).flat() : abisOf[arch];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: abis.map(({ name }) => name),
    syscalls: [
      { names: [...new Set(names)].toSorted(), action: 'SCMP_ACT_ALLOW' },
      ...FAMILY_BLOCKS.map(([first, size]) => allow('socket', masked(0, 0x1_0000_0000 - size, first))),
      ...PERSONALITIES.map((value) => allow('personality', { index: 0, value, op: 'SCMP_CMP_EQ' })),
      ...(capabilities.includes('CAP_SYS_ADMIN') ? [] : withoutNamespaces),
    ],
  };
}

const masked = (index: number, mask: number, value: number): LinuxSeccompArg => ({
  index,
  value: mask,
  valueTwo: value,
  op: 'SCMP_CMP_MASKED_EQ',
});

const allow = (name: string, arg: LinuxSeccompArg): LinuxSyscall => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args: [arg],
});

const withoutNamespaces: readonly LinuxSyscall[] = [
  allow('clone', masked(0, CLONE_NAMESPACES, 0)),
  { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
];

/** The words of a list with `//` comments to the end of the line. */
const words = (text: string): readonly string[] =>
  text
    .replaceAll(/\/\/.*/g, '')
    .trim()
    .split(/\s+/);
