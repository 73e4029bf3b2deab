#include "program.h"
#include "text.h"

struct header {
  char magic[8];
  uint32_t size;
  uint32_t count;
  uint32_t inherited; // descriptors from FIRST_SLOT_FD on that become the first slots
  uint32_t reserved;
};

struct operation {
  uint32_t opcode;
  uint32_t size; // of the arguments that follow
};

int program_open(struct program *p, const uint8_t *file, size_t size) {
  const struct header *header = (const void *)file;
  memset(p, 0, sizeof *p);
  if (size < sizeof *header || header->size > size || header->size < sizeof *header) return -EPROTO;
  if (header->inherited > MAX_SLOTS) return -EPROTO;
  for (int i = 0; i < 8; i++)
    if (header->magic[i] != "TSCINIT1"[i]) return -EPROTO;
  for (int i = 0; i < MAX_SLOTS; i++) p->slots[i] = i < (int)header->inherited ? FIRST_SLOT_FD + i : -1;
  p->at = file + sizeof *header;
  p->end = file + header->size;
  p->count = header->count;
  p->index = (uint32_t)-1;
  return 0;
}

int program_next(struct program *p) {
  struct operation op;
  if (p->malformed) return -EPROTO;
  if (p->index + 1 == p->count) return 0;
  if ((size_t)(p->end - p->at) < sizeof op) return -EPROTO;
  memcpy(&op, p->at, sizeof op);
  p->arg = p->at + sizeof op;
  if ((size_t)(p->end - p->arg) < op.size) return -EPROTO;
  p->arg_end = p->at = p->arg + op.size;
  p->opcode = op.opcode;
  p->index++;
  return 1;
}

uint64_t arg_number(struct program *p) {
  uint64_t n = 0;
  if (p->arg_end - p->arg < 8) {
    p->malformed = 1;
    return 0;
  }
  memcpy(&n, p->arg, 8);
  p->arg += 8;
  return n;
}

// Bytes are a length and the bytes themselves, padded to eight.
const uint8_t *arg_bytes(struct program *p, size_t *n) {
  uint64_t size = arg_number(p);
  const uint8_t *bytes = p->arg;
  uint64_t padded = (size + 7) & ~7ull;
  if (padded < size || (uint64_t)(p->arg_end - p->arg) < padded) {
    p->malformed = 1;
    *n = 0;
    return (const uint8_t *)"";
  }
  p->arg += padded;
  *n = size;
  return bytes;
}

const char *arg_text(struct program *p) {
  size_t n;
  const uint8_t *bytes = arg_bytes(p, &n);
  if (n == 0 || bytes[n - 1] != 0) {
    p->malformed = 1;
    return "";
  }
  return (const char *)bytes;
}

int arg_slot(struct program *p) {
  int64_t slot = (int64_t)arg_number(p);
  if (slot == AT_FDCWD) return AT_FDCWD;
  if (slot < 0) return -1;
  if (slot >= MAX_SLOTS) {
    p->malformed = 1;
    return -1;
  }
  return p->slots[slot];
}

void set_slot(struct program *p, uint64_t slot, int fd) {
  if (slot >= MAX_SLOTS) {
    p->malformed = 1;
    close_fd(&fd);
    return;
  }
  close_fd(&p->slots[slot]);
  p->slots[slot] = fd;
}

long operate(struct program *p) {
  static long (*const families[])(struct program *) = {operate_file, operate_mount, operate_credential,
                                                       operate_process};
  const uint8_t *arguments = p->arg;
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    p->arg = arguments;
    long result = families[i](p);
    if (p->malformed) return -EPROTO;
    if (result != -EPROTO) return result;
  }
  return -EPROTO;
}
