#include "sys.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_DESCRIPTORS = 64 };

SYSCALL(socket) {
  int domain = arg_int(call), type = arg_int(call), protocol = arg_int(call);
  return call->bad ? NULL : call_descriptor(call, socket(domain, type | SOCK_CLOEXEC, protocol));
}

SYSCALL(socketpair) {
  int domain = arg_int(call), type = arg_int(call), protocol = arg_int(call), pair[2];
  if (call->bad) return NULL;
  if (socketpair(domain, type | SOCK_CLOEXEC, protocol, pair) < 0) return call_fail(call, errno, NULL);
  napi_value result = int_array(call->env, pair, 2);
  if (result == NULL) {
    close(pair[0]);
    close(pair[1]);
  }
  return result;
}

/* An address, copied because a buffer need not be aligned as a sockaddr; one with a path gives errors that path. */
static socklen_t arg_address(struct call *call, struct sockaddr_storage *address, char path[sizeof *address]) {
  struct bytes bytes = arg_bytes(call);
  if (!call->bad && (bytes.length < sizeof address->ss_family || bytes.length > sizeof *address))
    call_type_error(call, "a sockaddr");
  if (call->bad) return 0;
  memcpy(address, bytes.data, bytes.length);
  if (address->ss_family == AF_UNIX && bytes.length > 2 && bytes.data[2] != '\0') {
    memcpy(path, bytes.data + 2, bytes.length - 2);
    path[bytes.length - 2] = '\0';
    call->path = path;
  }
  return (socklen_t)bytes.length;
}

SYSCALL(bind) {
  int fd = arg_int(call);
  struct sockaddr_storage address;
  char path[sizeof address];
  socklen_t length = arg_address(call, &address, path);
  return call->bad ? NULL : call_void(call, bind(fd, (const struct sockaddr *)&address, length));
}

SYSCALL(connect) {
  int fd = arg_int(call);
  struct sockaddr_storage address;
  char path[sizeof address];
  socklen_t length = arg_address(call, &address, path);
  return call->bad ? NULL : call_void(call, connect(fd, (const struct sockaddr *)&address, length));
}

SYSCALL(listen) {
  int fd = arg_int(call), backlog = arg_int(call);
  return call->bad ? NULL : call_void(call, listen(fd, backlog));
}

SYSCALL(shutdown) {
  int fd = arg_int(call), how = arg_int(call);
  return call->bad ? NULL : call_void(call, shutdown(fd, how));
}

SYSCALL(setsockopt) {
  int fd = arg_int(call), level = arg_int(call), name = arg_int(call), number = 0;
  struct bytes value = {(uint8_t *)&number, sizeof number};
  if (!call->bad && arg_is_number(call))
    number = (int)arg_u32(call);
  else
    value = arg_bytes(call);
  return call->bad ? NULL : call_void(call, setsockopt(fd, level, name, value.data, (socklen_t)value.length));
}

SYSCALL(getsockopt) {
  int fd = arg_int(call), level = arg_int(call), name = arg_int(call), capacity = arg_int(call);
  if (!call->bad && capacity < 0) call_type_error(call, "a length");
  if (call->bad) return NULL;
  socklen_t length = (socklen_t)capacity;
  cleanup_free void *value = calloc(1, length + 1);
  if (value == NULL) return call_fail(call, ENOMEM, NULL);
  if (getsockopt(fd, level, name, value, &length) < 0) return call_fail(call, errno, NULL);
  return call_buffer(call, value, length);
}

/* Aligned as the kernel's control messages must be. */
union control {
  struct cmsghdr header;
  char space[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int)) + CMSG_SPACE(64)];
};

SYSCALL(sendmsg) {
  int fd = arg_int(call);
  struct bytes data = arg_bytes(call);
  cleanup_free int *fds = NULL;
  uint32_t count = arg_int_list(call, &fds, MAX_DESCRIPTORS);
  int flags = arg_int(call);
  ssize_t sent;
  if (call->bad) return NULL;

  union control control = {0};
  struct iovec vector = {.iov_base = data.data, .iov_len = data.length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
  }
  do
    sent = sendmsg(fd, &message, flags);
  while (sent < 0 && errno == EINTR);
  return call_number(call, sent);
}

static size_t received_descriptors(struct msghdr *message, int fds[MAX_DESCRIPTORS]) {
  size_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t more = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (count + more > MAX_DESCRIPTORS) more = MAX_DESCRIPTORS - count;
    memcpy(fds + count, CMSG_DATA(header), more * sizeof(int));
    count += more;
  }
  return count;
}

SYSCALL(recvmsg) {
  int fd = arg_int(call), capacity = arg_int(call), flags = arg_int(call), fds[MAX_DESCRIPTORS];
  if (!call->bad && capacity < 0) call_type_error(call, "a length");
  if (call->bad) return NULL;
  cleanup_free void *data = malloc((size_t)capacity + 1);
  if (data == NULL) return call_fail(call, ENOMEM, NULL);

  union control control;
  struct iovec vector = {.iov_base = data, .iov_len = (size_t)capacity};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  ssize_t length;
  do {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    length = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return call_fail(call, errno, NULL);
  /* With MSG_TRUNC in `flags` the kernel answers the message's own length. */
  if (length > capacity) length = capacity;

  size_t count = received_descriptors(&message, fds);
  napi_value object = NULL, buffer = call_buffer(call, data, (size_t)length), list = int_array(call->env, fds, count);
  if (buffer == NULL || list == NULL || napi_create_object(call->env, &object) != napi_ok) {
    while (count > 0)
      close(fds[--count]);
    return NULL;
  }
  set_property(call->env, object, "data", buffer);
  set_property(call->env, object, "fds", list);
  set_number(call->env, object, "flags", message.msg_flags);
  return object;
}
