#include "log.h"

// A record is at most six bytes for each of the line's, and some; every record goes out in one write.
enum { RECORD_MAX = LINE_MAX * 6 + 128 };
static char buffer[2 * RECORD_MAX];
static struct text out = {buffer, buffer + sizeof buffer, 0};

static void open_file(struct log *log) {
  log->fd = (int)sys(__NR_openat, log->dir, log->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
  log->size = log->fd < 0 ? 0 : sys(__NR_lseek, log->fd, 0, 2 /* SEEK_END */);
}

void log_open(struct log *log, int dir, const char *name, int64_t max_size, uint64_t max_files) {
  *log = (struct log){.dir = dir, .fd = -1, .name = name, .max_size = max_size, .max_files = max_files ? max_files : 1};
  if (dir >= 0) open_file(log);
}

enum { NAME_SIZE = 288 }; // a file's name has at most 255 bytes, a number 20

static void numbered_name(char name[NAME_SIZE], const char *base, uint64_t number) {
  struct text t = {name, name + NAME_SIZE - 1, 0};
  text_add(&t, base);
  if (number) text_add(&t, "."), text_add_number(&t, (int64_t)number);
  *t.at = 0;
}

// name.(n-2) becomes name.(n-1), … name becomes name.1: the oldest is overwritten.
static void rotate(struct log *log) {
  char from[NAME_SIZE], to[NAME_SIZE];
  close_fd(&log->fd);
  for (uint64_t number = log->max_files - 1; number-- > 0;) {
    numbered_name(from, log->name, number);
    numbered_name(to, log->name, number + 1);
    sys(__NR_renameat2, log->dir, from, log->dir, to, 0);
  }
  if (log->max_files <= 1) sys(__NR_unlinkat, log->dir, log->name, 0);
  open_file(log);
}

// A full disk loses log records, never the container: what can't be written is dropped. A part of a record that could
// be is taken back, because the next record would go on in the middle of its line.
static void write_records(struct log *log, size_t n) {
  size_t written = 0;
  for (long result = 0; written < n && result >= 0; written += result > 0 ? (size_t)result : 0) {
    result = sys(__NR_write, log->fd, buffer + written, n - written);
    if (result == -EINTR) result = 0;
  }
  size_t whole = written;
  if (written < n)
    while (whole && buffer[whole - 1] != '\n') whole--;
  if (whole < written)
    sys(__NR_ftruncate, log->fd, sys(__NR_lseek, log->fd, 0, 2 /* SEEK_END */) - (long)(written - whole));
  log->size += (int64_t)whole;
}

// Writes the first `n` bytes of the buffer: whole records, which go into one file.
static void flush_records(struct log *log, size_t n) {
  if (n == 0) return;
  if (log->fd < 0) open_file(log);
  if (log->max_size && log->size && log->size + (int64_t)n > log->max_size) rotate(log);
  if (log->fd >= 0) write_records(log, n);
  size_t rest = (size_t)(out.at - buffer) - n;
  memmove(buffer, buffer + n, rest);
  out.at = buffer + rest;
}

static size_t pending(void) { return (size_t)(out.at - buffer); }

// The length of the UTF-8 sequence at `s`, 0 if it isn't one (or is an overlong form, a surrogate, past U+10FFFF).
static size_t sequence_length(const uint8_t *s, size_t n) {
  uint8_t first = s[0];
  size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length > n) return 0;
  for (size_t i = 1; i < length; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if ((first == 0xe0 && s[1] < 0xa0) || (first == 0xed && s[1] > 0x9f)) return 0;
  if ((first == 0xf0 && s[1] < 0x90) || (first == 0xf4 && s[1] > 0x8f)) return 0;
  return length;
}

static void add_escaped(uint8_t byte) {
  static const char hex[] = "0123456789abcdef";
  char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
  switch (byte) {
  case '\n': text_add(&out, "\\n"); break;
  case '\r': text_add(&out, "\\r"); break;
  case '\t': text_add(&out, "\\t"); break;
  case '"': text_add(&out, "\\\""); break;
  case '\\': text_add(&out, "\\\\"); break;
  default: text_add_bytes(&out, escape, 6);
  }
}

static void add_json_string(const uint8_t *s, size_t n) {
  text_add(&out, "\"");
  for (size_t i = 0; i < n;) {
    size_t length = sequence_length(s + i, n - i);
    if (length == 0)
      text_add(&out, "\\ufffd");
    else if (length == 1 && (s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f))
      add_escaped(s[i]);
    else
      text_add_bytes(&out, (const char *)s + i, length);
    i += length ? length : 1;
  }
  text_add(&out, "\"");
}

static void add_record(struct log *log, struct line *line) {
  if (out.end - out.at < RECORD_MAX) flush_records(log, pending());
  size_t before = pending();
  text_add(&out, "{\"log\":");
  add_json_string((const uint8_t *)line->bytes, line->length);
  text_add(&out, ",\"stream\":\"");
  text_add(&out, line->stream);
  text_add(&out, "\",\"time\":\"");
  text_add_time(&out, time_now());
  text_add(&out, "\"}\n");
  line->length = 0;
  if (log->max_size && log->size + (int64_t)pending() > log->max_size) flush_records(log, before);
}

// Bytes at the end of a full line that begin a sequence which goes on in the next piece.
static size_t unfinished_sequence(const struct line *line) {
  for (size_t back = 1; back <= 3; back++) {
    uint8_t byte = (uint8_t)line->bytes[line->length - back];
    if (byte >= 0xc2) return (byte < 0xe0 ? 2u : byte < 0xf0 ? 3u : 4u) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

static void add_piece(struct log *log, struct line *line) {
  size_t kept = unfinished_sequence(line);
  char tail[4];
  memcpy(tail, line->bytes + line->length - kept, kept);
  line->length -= kept;
  add_record(log, line);
  memcpy(line->bytes, tail, kept);
  line->length = kept;
}

void log_output(struct log *log, struct line *line, const char *bytes, size_t n) {
  if (log->dir < 0) return;
  for (size_t i = 0; i < n; i++) {
    line->bytes[line->length++] = bytes[i];
    if (bytes[i] == '\n')
      add_record(log, line);
    else if (line->length == LINE_MAX)
      add_piece(log, line);
  }
  flush_records(log, pending());
}

void log_end(struct log *log, struct line *line) {
  if (log->dir < 0) return;
  if (line->length) add_record(log, line);
  flush_records(log, pending());
}
