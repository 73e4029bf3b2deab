// Who is connected to the monitor: the engine that started it (the control client) and whoever came later.
#pragma once

#include "wire.h"

enum { MAX_CLIENTS = 16, FRAME_MAX = 32 * 1024, CHUNK = 16 * 1024, CLIENT_FULL = 64 * 1024 };

struct client {
  int fd; // -1: a free place
  int control;
  int attached; // wants the output
  size_t in_length;
  size_t out_start;
  size_t out_length;
  uint8_t in[FRAME_MAX + 4];
  uint8_t out[CLIENT_FULL * 4]; // reading stops at CLIENT_FULL; the rest takes what the pipes still hold at the end
};

extern struct client clients[MAX_CLIENTS];

void clients_reset(void);
struct client *client_add(int fd, int control, int attached);
void client_drop(struct client *client);
struct client *client_control(void); // NULL when the engine has let go
// Queues a frame and sends what the socket takes. A client that has no room for it is dropped.
void client_send(struct client *client, enum frame frame, const void *data, size_t n);
void clients_send(enum frame frame, const void *data, size_t n);        // to all
void clients_send_output(enum frame frame, const void *data, size_t n); // to the attached
void client_flush(struct client *client);
// Whether every attached client can take another chunk: the container waits for its slowest reader.
int clients_have_room(int ended);
// Reads what came. 0 when the client has gone.
int client_receive(struct client *client);
// Takes what was sent and not read yet: an end of ours that is closed over it would tell the other one of a broken
// connection, in place of what is on its way to it.
void client_discard_input(struct client *client);
// The first whole frame in the buffer: 1 with its type and bytes, 0 when none is whole, -1 when it is nonsense.
int client_frame(struct client *client, uint32_t *type, const uint8_t **data, size_t *n);
void client_consume(struct client *client, size_t n);
