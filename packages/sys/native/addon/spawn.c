/*
 * Starts a program the way vfork does: the child borrows our memory until it executes, so it must not touch anything of
 * libc's (errno, locks, thread-local data). It has a stack of its own and makes raw system calls only.
 */
#include "sys.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { STACK_SIZE = 64 * 1024, GUARD_SIZE = 64 * 1024, SIGNALS = 64, MASK_SIZE = SIGNALS / 8 };

struct child {
  int executable;
  char **argv, **envp;
  int *fds;
  uint32_t count;
  const char *volatile failed; /* the system call, or NULL */
  volatile int error;
};

/* What the child runs: sanitizers' own calls would be libc's again. */
#define CHILD_CODE __attribute__((no_sanitize("address", "undefined", "thread")))

#if defined(__x86_64__)

CHILD_CODE static inline long raw5(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

/* In the child the new stack is empty, so it can't return: it calls `function`, which never does. */
static long clone3_call(struct clone_args *args, void (*function)(void *), void *argument) {
  long result;
  register void *r12 __asm__("r12") = function;
  register void *r13 __asm__("r13") = argument;
  __asm__ volatile("syscall\n\t"
                   "testq %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xorl %%ebp, %%ebp\n\t"
                   "movq %%r13, %%rdi\n\t"
                   "callq *%%r12\n\t"
                   "ud2\n"
                   "1:"
                   : "=a"(result)
                   : "a"((long)SYS_clone3), "D"(args), "S"(sizeof *args), "r"(r12), "r"(r13)
                   : "rcx", "r11", "cc", "memory");
  return result;
}

#elif defined(__aarch64__)

CHILD_CODE static inline long raw5(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}

static long clone3_call(struct clone_args *args, void (*function)(void *), void *argument) {
  register long x8 __asm__("x8") = SYS_clone3;
  register long x0 __asm__("x0") = (long)args;
  register long x1 __asm__("x1") = sizeof *args;
  register void *x20 __asm__("x20") = function;
  register void *x21 __asm__("x21") = argument;
  __asm__ volatile("svc #0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "mov x30, xzr\n\t"
                   "mov x0, x21\n\t"
                   "blr x20\n\t"
                   "brk #1\n"
                   "1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x20), "r"(x21)
                   : "cc", "memory");
  return x0;
}

#else
#error "spawn.c: no assembly for this processor"
#endif

CHILD_CODE static _Noreturn void child_fail(struct child *child, const char *syscall, long result) {
  child->failed = syscall;
  child->error = (int)-result;
  for (;;)
    raw5(SYS_exit_group, 127, 0, 0, 0, 0);
}

CHILD_CODE static long child_step(struct child *child, const char *syscall, long result) {
  if (result < 0) child_fail(child, syscall, result);
  return result;
}

/* Sources below `count` would be overwritten by their neighbours; one that is already in its place is not. */
CHILD_CODE static void child_arrange_descriptors(struct child *child) {
  const long count = child->count;
  if (child->executable < count)
    child->executable =
        (int)child_step(child, "fcntl", raw5(SYS_fcntl, child->executable, F_DUPFD_CLOEXEC, count, 0, 0));
  for (long i = 0; i < count; i++) {
    if (child->fds[i] < count && child->fds[i] != i)
      child->fds[i] = (int)child_step(child, "fcntl", raw5(SYS_fcntl, child->fds[i], F_DUPFD_CLOEXEC, count, 0, 0));
  }
  for (long i = 0; i < count; i++) {
    if (child->fds[i] == i)
      child_step(child, "fcntl", raw5(SYS_fcntl, i, F_SETFD, 0, 0, 0));
    else
      child_step(child, "dup3", raw5(SYS_dup3, child->fds[i], i, 0, 0, 0));
  }
  child_step(child, "close_range", raw5(SYS_close_range, count, ~0U, CLOSE_RANGE_CLOEXEC, 0, 0));
}

/* CLONE_CLEAR_SIGHAND leaves ignored signals ignored, and Node ignores SIGPIPE: nobody's programs expect that. */
CHILD_CODE static void child_reset_signals(struct child *child) {
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
  } action = {0};
  const uint64_t none = 0;
  for (int signal = 1; signal <= SIGNALS; signal++) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    child_step(child, "rt_sigaction", raw5(SYS_rt_sigaction, signal, (long)&action, 0, MASK_SIZE, 0));
  }
  child_step(child, "rt_sigprocmask", raw5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, MASK_SIZE, 0));
}

static const char execveat_name[] = "execveat";

CHILD_CODE static void child_main(void *data) {
  struct child *child = data;
  child_reset_signals(child);
  child_arrange_descriptors(child);
  child_step(child, "setsid", raw5(SYS_setsid, 0, 0, 0, 0, 0));
  child_fail(child, execveat_name,
             raw5(SYS_execveat, child->executable, (long)"", (long)child->argv, (long)child->envp, AT_EMPTY_PATH));
}

/* Returns the child's pid when it executes the program or has failed, or -1 with errno. */
static pid_t clone_child(struct child *child, int *pidfd) {
  char *area = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (area == MAP_FAILED) return -1;
  char *stack = area + GUARD_SIZE;
  uint64_t all = ~UINT64_C(0), before;
  struct clone_args args = {
      .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
      .pidfd = (uintptr_t)pidfd,
      .stack = (uintptr_t)stack,
      .stack_size = STACK_SIZE,
  };
  long pid = -ENOMEM;
  if (mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE) == 0) {
    /* Raw, because libc keeps its own two signals out of every mask. */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, MASK_SIZE);
    pid = clone3_call(&args, child_main, child);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, MASK_SIZE);
  }
  munmap(area, GUARD_SIZE + STACK_SIZE);
  if (pid < 0) errno = (int)-pid;
  return pid < 0 ? -1 : (pid_t)pid;
}

static void reap(int pidfd) {
  siginfo_t info;
  while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
    continue;
}

SYSCALL(spawn) {
  struct child child = {.executable = arg_int(call)};
  cleanup_strv char **argv = arg_string_list(call);
  cleanup_strv char **envp = arg_string_list(call);
  cleanup_free int *fds = NULL;
  child.count = arg_int_list(call, &fds, 1024);
  if (call->bad) return NULL;

  child.argv = argv;
  child.envp = envp;
  child.fds = fds;
  cleanup_close int pidfd = -1;
  pid_t pid = clone_child(&child, &pidfd);
  call->name = pid < 0 ? "clone3" : child.failed;
  if (pid < 0) return call_fail(call, errno, NULL);
  if (child.failed != NULL) {
    if (child.failed == execveat_name) call->path = argv[0];
    reap(pidfd);
    return call_fail(call, child.error, NULL);
  }
  napi_value object = NULL;
  if (napi_create_object(call->env, &object) != napi_ok) return NULL;
  set_number(call->env, object, "pid", pid);
  set_number(call->env, object, "pidfd", pidfd);
  pidfd = -1;
  return object;
}
