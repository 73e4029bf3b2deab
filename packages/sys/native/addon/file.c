#include "sys.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* With RESOLVE_IN_ROOT or _BENEATH a rename or mount anywhere in the system can make the kernel give up with EAGAIN. */
int open_resolved(int dirfd, const char *path, struct open_how *how) {
  int fd, tries = 128;
  do fd = (int)syscall(SYS_openat2, dirfd, path, how, sizeof *how);
  while (fd < 0 && errno == EAGAIN && how->resolve != 0 && --tries > 0);
  return fd;
}

SYSCALL(openat2) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  struct open_how how = {.flags = (uint64_t)arg_i64(call) | O_CLOEXEC, .mode = arg_u32(call)};
  how.resolve = (uint64_t)arg_i64(call);
  return call->bad ? NULL : call_descriptor(call, open_resolved(dirfd, path, &how));
}

SYSCALL(mkdirat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  mode_t mode = arg_u32(call);
  return call->bad ? NULL : call_void(call, mkdirat(dirfd, path, mode));
}

SYSCALL(mknodat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  mode_t mode = arg_u32(call);
  uint32_t device_major = arg_u32(call), device_minor = arg_u32(call);
  return call->bad ? NULL : call_void(call, mknodat(dirfd, path, mode, makedev(device_major, device_minor)));
}

SYSCALL(symlinkat) {
  const char *target = arg_string(call);
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  return call->bad ? NULL : call_void(call, symlinkat(target, dirfd, path));
}

/* With an empty old path (AT_EMPTY_PATH) an error names the new one. */
SYSCALL(linkat) {
  int old_dirfd = arg_int(call);
  const char *old_path = arg_path(call);
  int new_dirfd = arg_int(call);
  const char *new_path = arg_path(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, linkat(old_dirfd, old_path, new_dirfd, new_path, flags));
}

SYSCALL(unlinkat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, unlinkat(dirfd, path, flags));
}

SYSCALL(renameat2) {
  int old_dirfd = arg_int(call);
  const char *old_path = arg_path(call);
  int new_dirfd = arg_int(call);
  const char *new_path = arg_path(call);
  uint32_t flags = arg_u32(call);
  if (call->bad) return NULL;
  return call_void(call, syscall(SYS_renameat2, old_dirfd, old_path, new_dirfd, new_path, flags));
}

/* The size in `stat` is no help (0 on procfs), so the buffer grows until the answer does not fill it. */
SYSCALL(readlinkat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  cleanup_free char *target = NULL;
  if (call->bad) return NULL;
  for (size_t size = 256;; size *= 2) {
    char *grown = realloc(target, size);
    if (grown == NULL) return call_fail(call, ENOMEM, NULL);
    target = grown;
    ssize_t length = readlinkat(dirfd, path, target, size);
    if (length < 0) return call_fail(call, errno, NULL);
    if ((size_t)length == size) continue;
    return name_value(call->env, target, (size_t)length);
  }
}

SYSCALL(fchownat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  uid_t owner = arg_u32(call);
  gid_t group = arg_u32(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, fchownat(dirfd, path, owner, group, flags));
}

SYSCALL(fchmodat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  mode_t mode = arg_u32(call);
  int flags = arg_int(call);
  if (call->bad) return NULL;
  /* The old call has no flags, but is in every kernel. */
  if (flags == 0) return call_void(call, syscall(SYS_fchmodat, dirfd, path, mode));
  return call_void(call, syscall(SYS_fchmodat2, dirfd, path, mode, flags));
}

static struct timespec arg_time(struct call *call) {
  int64_t seconds = arg_bigint(call);
  return (struct timespec){.tv_sec = seconds, .tv_nsec = arg_u32(call)};
}

SYSCALL(utimensat) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  struct timespec atime = arg_time(call), mtime = arg_time(call);
  int flags = arg_int(call);
  const struct timespec times[2] = {atime, mtime};
  return call->bad ? NULL : call_void(call, syscall(SYS_utimensat, dirfd, path, times, flags));
}

/* In nanoseconds, which take more than 64 bits before 1677 and after 2262. */
static void set_time(napi_env env, napi_value object, const char *name, struct statx_timestamp time) {
  __int128 ns = (__int128)time.tv_sec * 1000000000 + time.tv_nsec;
  unsigned __int128 magnitude = ns < 0 ? -(unsigned __int128)ns : (unsigned __int128)ns;
  const uint64_t words[2] = {(uint64_t)magnitude, (uint64_t)(magnitude >> 64)};
  napi_value value = NULL;
  napi_create_bigint_words(env, ns < 0, 2, words, &value);
  set_property(env, object, name, value);
}

SYSCALL(statx) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  int flags = arg_int(call);
  struct statx stat;
  napi_value object, ino = NULL;
  if (call->bad) return NULL;
  if (statx(dirfd, path, flags, STATX_BASIC_STATS | STATX_MNT_ID, &stat) < 0) return call_fail(call, errno, NULL);
  if (napi_create_object(call->env, &object) != napi_ok) return NULL;
  napi_create_bigint_uint64(call->env, stat.stx_ino, &ino);
  set_number(call->env, object, "mode", stat.stx_mode);
  set_number(call->env, object, "nlink", stat.stx_nlink);
  set_number(call->env, object, "uid", stat.stx_uid);
  set_number(call->env, object, "gid", stat.stx_gid);
  set_property(call->env, object, "ino", ino);
  set_number(call->env, object, "size", (double)stat.stx_size);
  set_number(call->env, object, "blocks", (double)stat.stx_blocks);
  set_time(call->env, object, "atimeNs", stat.stx_atime);
  set_time(call->env, object, "mtimeNs", stat.stx_mtime);
  set_time(call->env, object, "ctimeNs", stat.stx_ctime);
  set_number(call->env, object, "devMajor", stat.stx_dev_major);
  set_number(call->env, object, "devMinor", stat.stx_dev_minor);
  set_number(call->env, object, "rdevMajor", stat.stx_rdev_major);
  set_number(call->env, object, "rdevMinor", stat.stx_rdev_minor);
  set_number(call->env, object, "mountId", (double)stat.stx_mnt_id);
  return object;
}

SYSCALL(fstatfsType) {
  int fd = arg_int(call);
  struct statfs stat;
  call->name = "fstatfs";
  if (call->bad) return NULL;
  if (fstatfs(fd, &stat) < 0) return call_fail(call, errno, NULL);
  return call_number(call, (long)(uint32_t)stat.f_type);
}

SYSCALL(flock) {
  int fd = arg_int(call), operation = arg_int(call), result;
  if (call->bad) return NULL;
  do result = flock(fd, operation);
  while (result < 0 && errno == EINTR);
  return call_void(call, result);
}

SYSCALL(syncfs) {
  int fd = arg_int(call);
  return call->bad ? NULL : call_void(call, syncfs(fd));
}

SYSCALL(copy_file_range) {
  int in = arg_int(call), out = arg_int(call);
  int64_t length = arg_i64(call);
  return call->bad ? NULL : call_number(call, copy_file_range(in, NULL, out, NULL, (size_t)length, 0));
}

/* Other C libraries give memory back by themselves, or have no such call. */
SYSCALL(malloc_trim) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return call_void(call, 0);
}

SYSCALL(memfd_create) {
  const char *name = arg_string(call);
  uint32_t flags = arg_u32(call);
  return call->bad ? NULL : call_descriptor(call, memfd_create(name, flags | MFD_CLOEXEC));
}

SYSCALL(fcntl) {
  int fd = arg_int(call), command = arg_int(call);
  int64_t argument = arg_i64(call);
  return call->bad ? NULL : call_number(call, fcntl(fd, command, argument));
}

SYSCALL(ioctl) {
  int fd = arg_int(call);
  unsigned long request = (unsigned long)arg_i64(call);
  bool is_number = arg_is_number(call);
  long argument = is_number ? arg_i64(call) : (long)arg_bytes(call).data;
  return call->bad ? NULL : call_number(call, ioctl(fd, request, argument));
}
