#include "wire.h"
#include "text.h"

struct one_fd {
  size_t len;
  int level;
  int type;
  int fd;
  int padding;
};

long send_with_fd(int socket, const void *data, size_t n, int fd) {
  struct iovec iov = {data, n};
  struct one_fd control = {.len = 20, .level = SOL_SOCKET, .type = SCM_RIGHTS, .fd = fd};
  struct msghdr message = {.iov = &iov, .iovlen = 1};
  if (fd >= 0) message.control = &control, message.controllen = sizeof control;
  return sys(__NR_sendmsg, socket, &message, MSG_NOSIGNAL);
}

long receive_with_fd(int socket, void *data, size_t n, int *fd) {
  struct iovec iov = {data, n};
  struct one_fd control = {.len = 0};
  struct msghdr message = {.iov = &iov, .iovlen = 1, .control = &control, .controllen = sizeof control};
  long received;
  do received = sys(__NR_recvmsg, socket, &message, MSG_CMSG_CLOEXEC);
  while (received == -EINTR);
  *fd = received > 0 && message.controllen >= 20 && control.type == SCM_RIGHTS ? control.fd : -1;
  return received;
}
