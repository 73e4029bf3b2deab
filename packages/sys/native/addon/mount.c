#include "sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>

SYSCALL(mount) {
  const char *source = arg_nullable_string(call);
  const char *target = arg_path(call);
  const char *type = arg_nullable_string(call);
  unsigned long flags = (unsigned long)arg_i64(call);
  const char *data = arg_nullable_string(call);
  return call->bad ? NULL : call_void(call, syscall(SYS_mount, source, target, type, flags, data));
}

SYSCALL(umount2) {
  const char *target = arg_path(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, syscall(SYS_umount2, target, flags));
}

SYSCALL(pivot_root) {
  const char *new_root = arg_path(call), *put_old = arg_string(call);
  return call->bad ? NULL : call_void(call, syscall(SYS_pivot_root, new_root, put_old));
}

/* The kernel explains failures in a log that is read from the context: messages that begin with "e ", "w " or "i ". */
static napi_value fail_with_log(struct call *call, int fd) {
  const int error = errno;
  char log[4096];
  size_t used = 0;
  for (;;) {
    const size_t separator = used == 0 ? 0 : 2;
    if (used + separator + 4 >= sizeof log) break;
    ssize_t length = read(fd, log + used + separator, sizeof log - used - separator - 1);
    if (length <= 0) break;
    char *message = log + used + separator;
    if (length > 2 && message[1] == ' ') {
      length -= 2;
      memmove(message, message + 2, (size_t)length);
    }
    while (length > 0 && message[length - 1] == '\n')
      length--;
    memcpy(log + used, "; ", separator);
    used += separator + (size_t)length;
  }
  log[used] = '\0';
  return call_fail(call, error, used > 0 ? log : NULL);
}

SYSCALL(fsopen) {
  const char *name = arg_path(call);
  uint32_t flags = arg_u32(call);
  return call->bad ? NULL : call_descriptor(call, (int)syscall(SYS_fsopen, name, flags | FSOPEN_CLOEXEC));
}

SYSCALL(fsconfig) {
  int fd = arg_int(call);
  uint32_t command = arg_u32(call);
  const char *key = arg_nullable_string(call), *value = arg_nullable_string(call);
  int aux = arg_int(call);
  if (call->bad) return NULL;
  call->path = key;
  long result = syscall(SYS_fsconfig, fd, command, key, value, aux);
  return result < 0 ? fail_with_log(call, fd) : call_void(call, result);
}

SYSCALL(fsmount) {
  int fd = arg_int(call);
  uint32_t flags = arg_u32(call), attributes = arg_u32(call);
  if (call->bad) return NULL;
  int mount = (int)syscall(SYS_fsmount, fd, flags | FSMOUNT_CLOEXEC, attributes);
  return mount < 0 ? fail_with_log(call, fd) : call_descriptor(call, mount);
}

/* With an empty `from` (MOVE_MOUNT_F_EMPTY_PATH) an error names the place it should have gone to. */
SYSCALL(move_mount) {
  int from_dirfd = arg_int(call);
  const char *from = arg_path(call);
  int to_dirfd = arg_int(call);
  const char *to = arg_path(call);
  uint32_t flags = arg_u32(call);
  return call->bad ? NULL : call_void(call, syscall(SYS_move_mount, from_dirfd, from, to_dirfd, to, flags));
}

SYSCALL(open_tree) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  uint32_t flags = arg_u32(call);
  return call->bad ? NULL : call_descriptor(call, (int)syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLOEXEC));
}

SYSCALL(mount_setattr) {
  int dirfd = arg_int(call);
  const char *path = arg_path(call);
  uint32_t flags = arg_u32(call);
  struct mount_attr attributes = {.attr_set = (uint64_t)arg_i64(call)};
  attributes.attr_clr = (uint64_t)arg_i64(call);
  attributes.propagation = (uint64_t)arg_i64(call);
  attributes.userns_fd = (uint64_t)arg_i64(call);
  if (call->bad) return NULL;
  return call_void(call, syscall(SYS_mount_setattr, dirfd, path, flags, &attributes, sizeof attributes));
}
