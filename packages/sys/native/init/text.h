// Memory, strings, numbers and times: what a libc would have given.
#pragma once

#include "sys.h"

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
size_t text_length(const char *s);
int text_equal(const char *a, const char *b);

// A writer into a fixed buffer; what does not fit is dropped and `full` says so.
struct text {
  char *at;
  char *end;
  int full;
};
void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const char *s, size_t n);
void text_add_number(struct text *t, int64_t n);
// RFC 3339 in UTC with nine digits: 2026-11-21T09:30:00.000000001Z
void text_add_time(struct text *t, struct timespec64 time);

struct timespec64 time_now(void);

// Writes all of it to a file or pipe that blocks. 0 or -errno.
int write_all(int fd, const void *data, size_t n);
