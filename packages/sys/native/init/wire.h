// What monitor, child and engine say to each other over their sockets.
#pragma once

#include "sys.h"

// Frames between monitor and engine: a 32-bit word (type << 24 | length), then the bytes.
enum frame {
  // to the monitor
  FRAME_STDIN = 1,
  FRAME_STDIN_EOF = 2,
  FRAME_RESIZE = 3, // u16 rows, u16 columns
  FRAME_SIGNAL = 4, // u32
  FRAME_ATTACH = 5,
  FRAME_CLEANED = 6, // the engine has cleaned up after the end: run no cleanup command
  // from the monitor
  FRAME_STARTED = 16, // u32 pid
  FRAME_FAILED = 17,  // u32 operation, i32 errno
  FRAME_STDOUT = 18,
  FRAME_STDERR = 19,
  FRAME_EXIT = 20, // u32 si_code, u32 status
};

// The child's report to the monitor, over their private socket. Success is silent: exec closes the socket.
enum report { REPORT_FAILED = 1, REPORT_TERMINAL = 2 };
struct child_report {
  uint32_t kind;
  uint32_t index;
  int32_t error;
};

// Sends `n` bytes and, if fd >= 0, the descriptor.
long send_with_fd(int socket, const void *data, size_t n, int fd);
// Receives up to `n` bytes; *fd is -1 when no descriptor came.
long receive_with_fd(int socket, void *data, size_t n, int *fd);
