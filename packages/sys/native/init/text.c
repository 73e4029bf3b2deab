#include "text.h"

void *memcpy(void *to, const void *from, size_t n) {
  char *t = to;
  const char *f = from;
  while (n--) *t++ = *f++;
  return to;
}

void *memmove(void *to, const void *from, size_t n) {
  char *t = to;
  const char *f = from;
  if (t <= f) return memcpy(to, from, n);
  while (n--) t[n] = f[n];
  return to;
}

void *memset(void *to, int byte, size_t n) {
  char *t = to;
  while (n--) *t++ = (char)byte;
  return to;
}

size_t text_length(const char *s) {
  size_t n = 0;
  while (s[n]) n++;
  return n;
}

int text_equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

void text_add_bytes(struct text *t, const char *s, size_t n) {
  if ((size_t)(t->end - t->at) < n) {
    t->full = 1;
    return;
  }
  memcpy(t->at, s, n);
  t->at += n;
}

void text_add(struct text *t, const char *s) { text_add_bytes(t, s, text_length(s)); }

static void add_digits(struct text *t, uint64_t n, int width) {
  char digits[20];
  int at = 20;
  do digits[--at] = (char)('0' + n % 10), n /= 10;
  while (n || 20 - at < width);
  text_add_bytes(t, digits + at, (size_t)(20 - at));
}

void text_add_number(struct text *t, int64_t n) {
  if (n < 0) text_add(t, "-");
  add_digits(t, n < 0 ? -(uint64_t)n : (uint64_t)n, 1);
}

// Days since 1970 to a date in the Gregorian calendar, by 400-year eras that begin on 1 March.
static void add_date(struct text *t, int64_t days) {
  days += 719468;
  int64_t era = days / 146097, day_of_era = days % 146097;
  int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
  int64_t month = (5 * day_of_year + 2) / 153;
  add_digits(t, (uint64_t)(year + era * 400 + (month >= 10)), 4);
  text_add(t, "-");
  add_digits(t, (uint64_t)(month < 10 ? month + 3 : month - 9), 2);
  text_add(t, "-");
  add_digits(t, (uint64_t)(day_of_year - (153 * month + 2) / 5 + 1), 2);
}

void text_add_time(struct text *t, struct timespec64 time) {
  int64_t second = time.sec % 86400;
  add_date(t, time.sec / 86400);
  text_add(t, "T");
  add_digits(t, (uint64_t)(second / 3600), 2);
  text_add(t, ":");
  add_digits(t, (uint64_t)(second / 60 % 60), 2);
  text_add(t, ":");
  add_digits(t, (uint64_t)(second % 60), 2);
  text_add(t, ".");
  add_digits(t, (uint64_t)time.nsec, 9);
  text_add(t, "Z");
}

struct timespec64 time_now(void) {
  struct timespec64 now = {0, 0};
  sys(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, &now);
  return now;
}

int write_all(int fd, const void *data, size_t n) {
  const char *at = data;
  while (n) {
    long written = sys(__NR_write, fd, at, n);
    if (written == -EINTR) continue;
    if (written < 0) return (int)written;
    at += written;
    n -= (size_t)written;
  }
  return 0;
}
