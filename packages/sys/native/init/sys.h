// Raw system calls: this program links no libc, so that it starts in 0.1 ms and keeps a few pages as a monitor.
#pragma once

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

#if defined(__x86_64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "tsc-init knows x86_64 and aarch64"
#endif

// sys(NR, args…): every argument becomes a long; the result is the kernel's, -errno on failure.
#define SYS_PICK(_0, _1, _2, _3, _4, _5, _6, NAME, ...) NAME
#define SYS0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define SYS1(n, a) sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define SYS2(n, a, b) sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS4(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS5(n, a, b, c, d, e) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS6(n, a, b, c, d, e, f) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define sys(...) SYS_PICK(__VA_ARGS__, SYS6, SYS5, SYS4, SYS3, SYS2, SYS1, SYS0)(__VA_ARGS__)

enum { SIGKILL = 9, SIGCHLD = 17, SIG_SETMASK = 2 };
enum { P_PIDFD = 3, WEXITED = 4 };
enum { AF_UNIX = 1, AF_INET = 2, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5 };
enum { SOL_SOCKET = 1, SO_PEERCRED = 17, SCM_RIGHTS = 1, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000 };
enum { SOCK_NONBLOCK = 04000, SOCK_CLOEXEC = 02000000 };

// The parts of libc's structures that the kernel shares.
struct iovec {
  const void *base;
  size_t len;
};
struct msghdr {
  void *name;
  int namelen;
  struct iovec *iov;
  size_t iovlen;
  void *control;
  size_t controllen;
  unsigned flags;
};
struct timespec64 {
  int64_t sec;
  int64_t nsec;
};

static inline void close_fd(int *fd) {
  if (*fd >= 0) sys(__NR_close, *fd);
  *fd = -1;
}
#define cleanup_fd __attribute__((cleanup(close_fd)))
