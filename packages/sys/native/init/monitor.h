// The monitor: the parent of a container's first process (or of an exec), which outlives whoever started it.
#pragma once

#include "client.h"
#include "log.h"
#include "program.h"

enum keep_flag {
  KEEP_TERMINAL = 1,
  KEEP_STDIN = 2,      // standard input is a pipe that stays open; otherwise it is the null device
  KEEP_STDIN_ONCE = 4, // ... until the engine that started it lets go
  KEEP_ATTACHED = 8,   // the engine gets the output from its first byte on
  KEEP_INHERIT = 16,   // 0, 1 and 2 are the child's as they are: nothing to relay
};

enum { MAX_COMMAND = 32, CONTROL_FD = 4 };

struct settings {
  uint64_t flags;
  int listener; // accepts clients; -1: none
  int run_dir;  // gets the files `started` and `exit`; -1: none
  int log_dir;
  const char *log_name;
  uint64_t log_max_size;
  uint64_t log_max_files;
  const uint8_t *released; // slots (u32) that the monitor closes once the child is made
  size_t released_bytes;
  const char *cleanup[MAX_COMMAND + 1]; // the command to run at the end; none when empty
};

// The monitor's ends of the child's standard streams; with a terminal `in` and `out` are one descriptor.
struct streams {
  int in;
  int out;
  int err;
};

struct child {
  int pid;
  int pidfd;
  int ended;
  int announced; // its end, to everybody
  uint32_t code; // CLD_EXITED, CLD_KILLED, CLD_DUMPED
  uint32_t status;
};

void read_settings(struct program *p, struct settings *settings);
// Keeps the child to its end, and returns when everything about it is done.
void monitor(const struct settings *settings, struct streams *streams, struct child *child);
