// The container's log in Docker's json-file form: one JSON object a line, rotated by size.
#pragma once

#include "text.h"

enum { LINE_MAX = 16 * 1024 };

// One stream's line that has not ended yet.
struct line {
  const char *stream;
  size_t length;
  char bytes[LINE_MAX];
};

struct log {
  int dir; // where the files lie; -1: no log
  int fd;
  const char *name;
  int64_t size;
  int64_t max_size; // 0: never rotated
  uint64_t max_files;
};

void log_open(struct log *log, int dir, const char *name, int64_t max_size, uint64_t max_files);
// Adds output; whole lines, and pieces of 16 KiB of longer ones, become records in as few writes as possible.
void log_output(struct log *log, struct line *line, const char *bytes, size_t n);
// Ends a stream: an unfinished line becomes a record.
void log_end(struct log *log, struct line *line);
