#include "sys.h"

#include <string.h>
#include <sys/xattr.h>

/* What an attribute call is about: a path, followed or not, or a descriptor; `name` is NULL for a list. */
struct subject {
  const char *path;
  bool follow;
  int fd;
  const char *name;
};

static ssize_t read_attribute(const struct subject *subject, void *data, size_t size) {
  if (subject->path == NULL && subject->name == NULL) return flistxattr(subject->fd, data, size);
  if (subject->path == NULL) return fgetxattr(subject->fd, subject->name, data, size);
  if (subject->name == NULL) return llistxattr(subject->path, data, size);
  if (subject->follow) return getxattr(subject->path, subject->name, data, size);
  return lgetxattr(subject->path, subject->name, data, size);
}

/* Reads a value whose size may change between asking for it and reading it. */
static ssize_t read_whole(const struct subject *subject, char **data) {
  size_t capacity = 256;
  for (;;) {
    free(*data);
    *data = malloc(capacity);
    if (*data == NULL) return -1;
    ssize_t length = read_attribute(subject, *data, capacity);
    if (length >= 0 || errno != ERANGE) return length;
    length = read_attribute(subject, NULL, 0);
    if (length < 0) return -1;
    capacity = (size_t)length + 1;
  }
}

static napi_value get(struct call *call, const struct subject *subject) {
  cleanup_free char *data = NULL;
  if (call->bad) return NULL;
  ssize_t length = read_whole(subject, &data);
  return length < 0 ? call_fail(call, errno, NULL) : call_buffer(call, data, (size_t)length);
}

static napi_value list(struct call *call, const struct subject *subject) {
  cleanup_free char *data = NULL;
  napi_value array, name;
  uint32_t count = 0;
  if (call->bad) return NULL;
  ssize_t length = read_whole(subject, &data);
  if (length < 0) return call_fail(call, errno, NULL);
  if (napi_create_array(call->env, &array) != napi_ok) return NULL;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(data + at) + 1) {
    name = name_value(call->env, data + at, strlen(data + at));
    if (name == NULL || napi_set_element(call->env, array, count++, name) != napi_ok) return NULL;
  }
  return array;
}

SYSCALL(getxattr) {
  const char *path = arg_path(call);
  return get(call, &(struct subject){.path = path, .follow = true, .name = arg_string(call)});
}

SYSCALL(lgetxattr) {
  const char *path = arg_path(call);
  return get(call, &(struct subject){.path = path, .name = arg_string(call)});
}

SYSCALL(fgetxattr) {
  int fd = arg_int(call);
  return get(call, &(struct subject){.fd = fd, .name = arg_string(call)});
}

SYSCALL(llistxattr) { return list(call, &(struct subject){.path = arg_path(call)}); }

SYSCALL(flistxattr) { return list(call, &(struct subject){.fd = arg_int(call)}); }

SYSCALL(setxattr) {
  const char *path = arg_path(call), *name = arg_string(call);
  struct bytes value = arg_bytes(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, setxattr(path, name, value.data, value.length, flags));
}

SYSCALL(lsetxattr) {
  const char *path = arg_path(call), *name = arg_string(call);
  struct bytes value = arg_bytes(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, lsetxattr(path, name, value.data, value.length, flags));
}

SYSCALL(fsetxattr) {
  int fd = arg_int(call);
  const char *name = arg_string(call);
  struct bytes value = arg_bytes(call);
  int flags = arg_int(call);
  return call->bad ? NULL : call_void(call, fsetxattr(fd, name, value.data, value.length, flags));
}

SYSCALL(lremovexattr) {
  const char *path = arg_path(call), *name = arg_string(call);
  return call->bad ? NULL : call_void(call, lremovexattr(path, name));
}
