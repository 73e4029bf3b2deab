#include "client.h"
#include "text.h"

struct client clients[MAX_CLIENTS];

void clients_reset(void) {
  for (int i = 0; i < MAX_CLIENTS; i++) clients[i].fd = -1;
}

struct client *client_add(int fd, int control, int attached) {
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++) {
    if (c->fd >= 0) continue;
    c->fd = fd, c->control = control, c->attached = attached;
    c->in_length = c->out_start = c->out_length = 0;
    return c;
  }
  sys(__NR_close, fd);
  return NULL;
}

void client_drop(struct client *client) { close_fd(&client->fd); }

struct client *client_control(void) {
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++)
    if (c->fd >= 0 && c->control) return c;
  return NULL;
}

void client_flush(struct client *client) {
  while (client->fd >= 0 && client->out_length) {
    struct iovec iov = {client->out + client->out_start, client->out_length};
    struct msghdr message = {.iov = &iov, .iovlen = 1};
    long sent = sys(__NR_sendmsg, client->fd, &message, MSG_NOSIGNAL | 0x40 /* MSG_DONTWAIT */);
    if (sent == -EINTR) continue;
    if (sent == -EAGAIN) return;
    if (sent < 0) return client_drop(client);
    client->out_start += (size_t)sent;
    client->out_length -= (size_t)sent;
  }
  client->out_start = 0;
}

void client_send(struct client *client, enum frame frame, const void *data, size_t n) {
  if (client->fd < 0) return;
  if (client->out_start + client->out_length + n + 4 > sizeof client->out) {
    memmove(client->out, client->out + client->out_start, client->out_length);
    client->out_start = 0;
  }
  if (client->out_length + n + 4 > sizeof client->out) return client_drop(client);
  uint8_t *to = client->out + client->out_start + client->out_length;
  uint32_t word = (uint32_t)frame << 24 | (uint32_t)n;
  memcpy(to, &word, 4);
  memcpy(to + 4, data, n);
  client->out_length += n + 4;
  client_flush(client);
}

void clients_send(enum frame frame, const void *data, size_t n) {
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++) client_send(c, frame, data, n);
}

void clients_send_output(enum frame frame, const void *data, size_t n) {
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++)
    if (c->attached) client_send(c, frame, data, n);
}

// Once the container has ended, nobody but its own engine may hold up the end.
int clients_have_room(int ended) {
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++) {
    if (c->fd < 0 || !c->attached) continue;
    if (ended && c->out_length + CHUNK + 4 <= sizeof c->out) continue;
    if (!ended && c->out_length < CLIENT_FULL) continue;
    if (!ended || c->control) return 0;
    client_drop(c);
  }
  return 1;
}

int client_receive(struct client *client) {
  long n = sys(__NR_read, client->fd, client->in + client->in_length, sizeof client->in - client->in_length);
  if (n == -EINTR || n == -EAGAIN) return 1;
  if (n <= 0) return 0;
  client->in_length += (size_t)n;
  return 1;
}

void client_discard_input(struct client *client) {
  while (client->fd >= 0 && sys(__NR_read, client->fd, client->in, sizeof client->in) > 0) continue;
}

int client_frame(struct client *client, uint32_t *type, const uint8_t **data, size_t *n) {
  uint32_t word;
  if (client->in_length < 4) return 0;
  memcpy(&word, client->in, 4);
  *type = word >> 24;
  *n = word & 0xffffff;
  *data = client->in + 4;
  if (*n > FRAME_MAX) return -1;
  return client->in_length >= *n + 4;
}

void client_consume(struct client *client, size_t n) {
  client->in_length -= n + 4;
  memmove(client->in, client->in + n + 4, client->in_length);
}
