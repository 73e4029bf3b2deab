// Namespaces, terminals, the working directory and, last, exec.
#include <asm/ioctls.h>
#include <linux/openat2.h>
#include <linux/prctl.h>

#include "program.h"
#include "text.h"
#include "wire.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static long setns_op(struct program *p) {
  int fd = arg_slot(p);
  return sys(__NR_setns, fd, arg_number(p));
}

static long set_name_op(struct program *p, long number) {
  const char *name = arg_text(p);
  return sys(number, name, text_length(name));
}

// chdir, then a look at where that led: a name like /proc/self/fd/7 must not take the process outside its root, and
// getcwd says "(unreachable)" when it has.
static long chdir_op(struct program *p) {
  char cwd[4096];
  long result = sys(__NR_chdir, arg_text(p));
  if (result < 0) return result;
  result = sys(__NR_getcwd, cwd, sizeof cwd);
  if (result < 0) return result;
  return cwd[0] == '/' ? 0 : -EPERM;
}

static long loopback_up_op(void) {
  struct {
    char name[16];
    short flags;
    uint8_t rest[22];
  } request = {.name = "lo", .flags = 0x41 /* IFF_UP | IFF_RUNNING */};
  cleanup_fd int socket = (int)sys(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return socket;
  return sys(__NR_ioctl, socket, 0x8914 /* SIOCSIFFLAGS */, &request);
}

// Makes a terminal in the container's own devpts (the directory in the slot), becomes its session leader on standard
// input, output and error, and hands the master to the monitor. The peer is had from the master (TIOCGPTPEER), not by
// name, because names under /dev are the image's.
static long terminal_op(struct program *p) {
  int devpts = arg_slot(p);
  uint64_t slave_slot = arg_number(p);
  struct winsize {
    unsigned short rows, columns, x, y;
  } size = {0, 0, 0, 0};
  size.rows = (unsigned short)arg_number(p);
  size.columns = (unsigned short)arg_number(p);
  int unlock = 0;
  cleanup_fd int master = (int)open_in_root(devpts, "ptmx", O_RDWR | O_NOCTTY, 0);
  if (master < 0) return master;
  long result = sys(__NR_ioctl, master, TIOCSPTLCK, &unlock);
  if (result == 0 && size.rows) result = sys(__NR_ioctl, master, TIOCSWINSZ, &size);
  if (result < 0) return result;
  int slave = (int)sys(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return slave;
  set_slot(p, slave_slot, slave);
  sys(__NR_setsid);
  result = sys(__NR_ioctl, slave, TIOCSCTTY, 0);
  for (int fd = 0; fd < 3 && result >= 0; fd++) result = sys(__NR_dup3, slave, fd, 0);
  if (result < 0) return result;
  struct child_report report = {.kind = REPORT_TERMINAL};
  result = send_with_fd(p->sync, &report, sizeof report, master);
  return result < 0 ? result : 0;
}

// The --init of a container: this process stays as pid 1, reaps, passes signals on and ends as its child does; the rest
// of the program is the child's.
static long reap_op(void) {
  uint64_t all = ~0ull, none = 0;
  sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
#if defined(__x86_64__)
  long child = sys(__NR_fork);
#else
  long child = sys(__NR_clone, SIGCHLD, 0, 0, 0, 0);
#endif
  if (child < 0) return child;
  if (child == 0) {
    // A group of its own in the foreground, or Ctrl-C would come twice: from the terminal, and passed on by the init.
    int group = (int)sys(__NR_getpid);
    sys(__NR_setpgid, 0, 0);
    sys(__NR_ioctl, 0, TIOCSPGRP, &group);
    sys(__NR_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
    return 0;
  }
  sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sys(__NR_close_range, 0, ~0u, 0);
  for (;;) {
    int info[32];
    long signal = sys(__NR_rt_sigtimedwait, &all, info, NULL, 8);
    if (signal > 0 && signal != SIGCHLD) sys(__NR_kill, child, signal);
    int status;
    for (long pid; (pid = sys(__NR_wait4, -1, &status, 1 /* WNOHANG */, NULL)) > 0;)
      if (pid == child) sys(__NR_exit_group, status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
  }
}

struct pointers {
  const char **at;
  size_t left;
};

// Every pointer that the rest of the arguments can need: a list takes eight bytes for its length and at least sixteen
// for each string, and becomes a pointer for each and one for its end.
static long make_pointers(const struct program *p, struct pointers *pointers) {
  size_t count = (size_t)(p->arg_end - p->arg) / 8 + 1;
  long memory = sys(__NR_mmap, NULL, count * sizeof(char *), 3 /* PROT_READ | PROT_WRITE */,
                    0x22 /* MAP_PRIVATE | MAP_ANONYMOUS */, -1, 0);
  if (memory < 0) return memory;
  *pointers = (struct pointers){(const char **)memory, count};
  return 0;
}

// Reads a counted list of strings into a NULL-ended array.
static const char **text_list(struct program *p, struct pointers *pointers) {
  uint64_t n = arg_number(p);
  const char **list = pointers->at;
  if (n >= pointers->left) {
    p->malformed = 1;
    return list;
  }
  for (uint64_t i = 0; i < n; i++) list[i] = arg_text(p);
  list[n] = NULL;
  pointers->at += n + 1;
  pointers->left -= n + 1;
  return list;
}

static long is_regular_file(const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC};
  cleanup_fd int fd = (int)sys(__NR_openat2, AT_FDCWD, path, &how, sizeof how);
  if (fd < 0) return fd;
  uint8_t stat[256];
  long result = sys(__NR_statx, fd, "", AT_EMPTY_PATH, 1 /* STATX_TYPE */, stat);
  return result < 0 ? result : (*(uint16_t *)(stat + 28) & S_IFMT) == S_IFREG;
}

// Tries each path of the program in turn, as execvp does with PATH: an unusable file is remembered and the search goes
// on; the error says the most telling thing that was met.
static long exec_op(struct program *p) {
  struct pointers pointers;
  uint64_t parent_death = arg_number(p);
  long made = make_pointers(p, &pointers);
  if (made < 0) return made;
  const char **candidates = text_list(p, &pointers);
  const char **argv = text_list(p, &pointers);
  const char **envp = text_list(p, &pointers);
  if (p->malformed) return -EPROTO;
  // The child dies with its monitor. A change of ids resets this, so it comes after all of them. The filter may forbid
  // prctl by now; then it was set at the start and the ids did not change, or the user asked for such a filter.
  if (parent_death) sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sys(__NR_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
  long worst = -ENOENT;
  for (; *candidates; candidates++) {
    long result = sys(__NR_execve, *candidates, argv, envp);
    if (result == -EACCES && is_regular_file(*candidates) == 0) result = -EISDIR;
    if (result != -ENOENT && result != -ENOTDIR) worst = result;
    if (result != -ENOENT && result != -ENOTDIR && result != -EACCES && result != -EISDIR) return result;
  }
  return worst;
}

long operate_process(struct program *p) {
  switch (p->opcode) {
  case OP_SETNS: return setns_op(p);
  case OP_UNSHARE: return sys(__NR_unshare, arg_number(p));
  case OP_SETHOSTNAME: return set_name_op(p, __NR_sethostname);
  case OP_SETDOMAINNAME: return set_name_op(p, __NR_setdomainname);
  case OP_CHDIR: return chdir_op(p);
  case OP_LOOPBACK_UP: return loopback_up_op();
  case OP_TERMINAL: return terminal_op(p);
  case OP_REAP: return reap_op();
  case OP_EXEC: return exec_op(p);
  default: return -EPROTO;
  }
}
