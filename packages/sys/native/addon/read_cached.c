/* A small file read at once when the kernel has all of it in memory, so that the event loop needs no other thread for
 * it. */
#include "sys.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

static bool is_in_memory(int fd) {
  struct statfs facts;
  return fstatfs(fd, &facts) == 0 && facts.f_type == TMPFS_MAGIC;
}

static ssize_t read_without_waiting(int fd, void *data, size_t length) {
  struct iovec part = {data, length};
  ssize_t count = preadv2(fd, &part, 1, 0, RWF_NOWAIT);
  /* A file system that lives in memory doesn't know the flag, as it has no use for it. */
  if (count < 0 && errno == EOPNOTSUPP && is_in_memory(fd)) count = pread(fd, data, length, 0);
  return count;
}

/* Returns the bytes of a file of at most `most`, a descriptor of a larger one, or undefined when it would have to wait.
 */
SYSCALL(read_cached) {
  const char *path = arg_path(call);
  int64_t most = arg_i64(call);
  if (call->bad) return NULL;
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW, .resolve = RESOLVE_CACHED};
  cleanup_close int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  struct stat facts;
  if (fd < 0) {
    /* It is not in memory, or this kernel can't say; EPERM is a filter of system calls that doesn't know this one. */
    bool unknown = errno == EAGAIN || errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == E2BIG;
    return unknown ? call_void(call, 0) : call_fail(call, errno, NULL);
  }
  if (fstat(fd, &facts) < 0) return call_fail(call, errno, NULL);
  if (!S_ISREG(facts.st_mode)) return call_void(call, 0);
  if (facts.st_size > most) {
    int kept = fd;
    fd = -1;
    return call_descriptor(call, kept);
  }
  void *data;
  napi_value buffer;
  if (napi_create_buffer(call->env, (size_t)facts.st_size, &data, &buffer) != napi_ok)
    return call_fail(call, ENOMEM, NULL);
  if (facts.st_size == 0 || read_without_waiting(fd, data, (size_t)facts.st_size) == facts.st_size) return buffer;
  return call_void(call, 0);
}
