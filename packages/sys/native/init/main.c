// tsc-init: carries out a start program (descriptor 3) and keeps the process that it starts; descriptor 4 is the
// engine's end. It has no opinion of its own: what happens, and in which order, is the program's.
#include <linux/prctl.h>
#include <linux/sched.h>

#include "monitor.h"

enum { PROGRAM_FD = 3 };

static struct program program;
static struct settings settings = {.listener = -1, .run_dir = -1, .log_dir = -1, .log_name = ""};

static __attribute__((noreturn)) void leave(int code) {
  for (;;) sys(__NR_exit_group, code);
}

// Says which operation failed, to whoever waits: the monitor if this is the child, else the engine.
static __attribute__((noreturn)) void fail(long error) {
  if (program.sync >= 0) {
    struct child_report report = {REPORT_FAILED, program.index, (int32_t)-error};
    send_with_fd(program.sync, &report, sizeof report, -1);
    leave(1);
  }
  uint32_t failure[2] = {program.index, (uint32_t)-error};
  clients_send(FRAME_FAILED, failure, sizeof failure);
  leave(1);
}

static void load_program(void) {
  struct {
    uint8_t before[40];
    uint64_t size;
    uint8_t after[208];
  } stat; // statx: stx_size lies at 40
  long result = sys(__NR_statx, PROGRAM_FD, "", AT_EMPTY_PATH, 0x200 /* STATX_SIZE */, &stat);
  if (result < 0) fail(result);
  result = sys(__NR_mmap, NULL, stat.size, 1 /* PROT_READ */, 2 /* MAP_PRIVATE */, PROGRAM_FD, 0);
  if (result < 0) fail(result);
  result = program_open(&program, (const uint8_t *)result, stat.size);
  program.sync = -1;
  if (result < 0) fail(result);
}

// The child's standard streams, and the monitor's ends of them.
struct pipes {
  int in[2];
  int out[2];
  int err[2];
};

static void make_pipes(struct pipes *pipes, uint64_t flags) {
  *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
  if (flags & (KEEP_TERMINAL | KEEP_INHERIT)) return;
  long result = sys(__NR_pipe2, pipes->out, O_CLOEXEC);
  if (result == 0) result = sys(__NR_pipe2, pipes->err, O_CLOEXEC);
  if (result == 0 && flags & KEEP_STDIN) result = sys(__NR_pipe2, pipes->in, O_CLOEXEC);
  if (result < 0) fail(result);
}

static void take_child_ends(const struct pipes *pipes) {
  if (pipes->in[0] >= 0) sys(__NR_dup3, pipes->in[0], 0, 0);
  if (pipes->out[1] >= 0) sys(__NR_dup3, pipes->out[1], 1, 0);
  if (pipes->err[1] >= 0) sys(__NR_dup3, pipes->err[1], 2, 0);
}

static void set_nonblocking(int fd) {
  if (fd >= 0) sys(__NR_fcntl, fd, 4 /* F_SETFL */, O_NONBLOCK | sys(__NR_fcntl, fd, 3 /* F_GETFL */, 0));
}

static void take_monitor_ends(struct pipes *pipes, struct streams *streams) {
  close_fd(&pipes->in[0]);
  close_fd(&pipes->out[1]);
  close_fd(&pipes->err[1]);
  *streams = (struct streams){pipes->in[1], pipes->out[0], pipes->err[0]};
}

// The child waits for its first byte (its id maps are written by then), then carries out the rest of the program.
static __attribute__((noreturn)) void be_child(const struct pipes *pipes, int sync) {
  uint64_t none = 0;
  char go;
  program.sync = sync;
  sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (sys(__NR_read, sync, &go, 1) != 1) leave(1); // the monitor has died
  take_child_ends(pipes);
  sys(__NR_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
  for (int more; (more = program_next(&program)) != 0;) {
    long result = more < 0 ? more : operate(&program);
    if (result < 0) fail(result);
  }
  fail(-EPROTO); // a program ends in exec
}

static long write_map(int pid, const char *file, const char *map) {
  char path[64];
  struct text t = {path, path + sizeof path - 1, 0};
  if (*map == 0) return 0;
  text_add(&t, "/proc/");
  text_add_number(&t, pid);
  text_add(&t, file);
  *t.at = 0;
  cleanup_fd int fd = (int)sys(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  long written = sys(__NR_write, fd, map, text_length(map));
  return written < 0 ? written : 0;
}

// Takes a child away that could not be started. Nobody else would at once: it would be left to the machine's process 1,
// and the pid namespace that it is in can't end before it is reaped.
static __attribute__((noreturn)) void give_up(const struct child *child, long error) {
  int info[32];
  sys(__NR_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
  while (sys(__NR_waitid, P_PIDFD, child->pidfd, info, WEXITED, NULL) == -EINTR) continue;
  fail(error);
}

// Hears the child out until its exec closes the socket. Returns only if it succeeds.
static void await_exec(const struct child *child, int sync, struct streams *streams) {
  struct child_report report;
  int terminal;
  for (;;) {
    long n = receive_with_fd(sync, &report, sizeof report, &terminal);
    if (n < 0) give_up(child, n);
    if (n == 0) return;
    if (report.kind == REPORT_TERMINAL && terminal >= 0) streams->in = streams->out = terminal;
    if (report.kind == REPORT_FAILED) {
      program.index = report.index;
      give_up(child, -report.error);
    }
  }
}

// A monitor that held on to the container's root would, at its own end, wait for it to be unmounted.
static void release_slots(void) {
  for (size_t at = 0; at + 4 <= settings.released_bytes; at += 4) {
    uint32_t slot;
    memcpy(&slot, settings.released + at, 4);
    set_slot(&program, slot, -1);
  }
}

static void clone_and_keep(void) {
  struct pipes pipes;
  struct streams streams;
  struct child child = {0};
  int sync[2], pidfd = -1;
  uint64_t flags = arg_number(&program);
  int cgroup = arg_slot(&program);
  const char *uid_map = arg_text(&program), *gid_map = arg_text(&program);
  if (program.malformed) fail(-EPROTO);
  make_pipes(&pipes, settings.flags);
  long result = sys(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync);
  if (result < 0) fail(result);
  struct clone_args args = {.flags = flags | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
  if (cgroup >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)cgroup;
  // A user namespace's maps are written through /proc/<pid>, which a process that can't be dumped gives to root alone.
  if (flags & CLONE_NEWUSER) sys(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
  result = sys(__NR_clone3, &args, sizeof args);
  if (result == 0) {
    sys(__NR_close, sync[0]);
    be_child(&pipes, sync[1]);
  }
  if (result < 0) fail(result);
  child.pid = (int)result, child.pidfd = pidfd;
  sys(__NR_close, sync[1]);
  release_slots();
  take_monitor_ends(&pipes, &streams);
  if ((result = write_map(child.pid, "/uid_map", uid_map)) < 0) give_up(&child, result);
  if ((result = write_map(child.pid, "/gid_map", gid_map)) < 0) give_up(&child, result);
  sys(__NR_write, sync[0], "", 1);
  await_exec(&child, sync[0], &streams);
  sys(__NR_close, sync[0]);
  set_nonblocking(streams.in), set_nonblocking(streams.out), set_nonblocking(streams.err);
  monitor(&settings, &streams, &child);
  leave(0);
}

__attribute__((noreturn, used)) void init_main(void) {
  uint64_t all = ~0ull;
  program.sync = -1;
  clients_reset();
  client_add(CONTROL_FD, 1, 0);
  set_nonblocking(CONTROL_FD);
  // Signals are blocked, not handled: only SIGKILL ends a monitor. Nobody in the container may look into it, either.
  sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
  sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  load_program();
  for (int more; (more = program_next(&program)) != 0;) {
    if (more < 0) fail(more);
    if (program.opcode == OP_CLONE) clone_and_keep();
    if (program.opcode == OP_KEEP) {
      read_settings(&program, &settings);
      if (program.malformed) fail(-EPROTO);
      clients[0].attached = (settings.flags & KEEP_ATTACHED) != 0;
      continue;
    }
    long result = operate(&program);
    if (result < 0) fail(result);
  }
  fail(-EPROTO);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call init_main\n");
#else
__asm__(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  bl init_main\n");
#endif
