// The start program: a flat list of operations that @tsc/runtime compiled and this program carries out. It arrives as a
// file mapped into memory; packages/sys/src/start-program.ts writes it and is the other half of this header.
#pragma once

#include "sys.h"

enum opcode {
  OP_KEEP = 1,
  OP_CLONE,
  OP_OPEN,
  OP_CLOSE,
  OP_WRITE_FILE,
  OP_SETNS,
  OP_UNSHARE,
  OP_MOUNT,
  OP_FSOPEN,
  OP_FSCONFIG,
  OP_FSMOUNT,
  OP_OPEN_TREE,
  OP_MOUNT_SETATTR,
  OP_MOVE_MOUNT,
  OP_RESOLVE,
  OP_MKNODAT,
  OP_SYMLINKAT,
  OP_PIVOT_ROOT,
  OP_SETHOSTNAME,
  OP_SETDOMAINNAME,
  OP_PRLIMIT,
  OP_PRCTL,
  OP_SETGROUPS,
  OP_SETRESGID,
  OP_SETRESUID,
  OP_CAPSET,
  OP_CAPBOUND,
  OP_CAPAMBIENT,
  OP_SECCOMP,
  OP_UMASK,
  OP_CHDIR,
  OP_KEYRING,
  OP_TERMINAL,
  OP_MASK,
  OP_READONLY,
  OP_VERIFY_FS,
  OP_LOOPBACK_UP,
  OP_REAP,
  OP_EXEC,
  OP_MKDIRAT,
  OP_STDIO_OWNER,
};

// How OP_RESOLVE treats what is missing.
enum resolve_kind { RESOLVE_EXISTING = 0, RESOLVE_DIRECTORY = 1, RESOLVE_FILE = 2 };

enum { MAX_SLOTS = 128, FIRST_SLOT_FD = 5 };

struct program {
  const uint8_t *at;  // the next operation
  const uint8_t *end; // of the file
  const uint8_t *arg; // the next argument of the current operation
  const uint8_t *arg_end;
  uint32_t opcode;
  uint32_t index;
  uint32_t count;
  int malformed;        // an argument was read past its operation's end
  int slots[MAX_SLOTS]; // descriptors by number: the inherited ones first
  int sync;             // the child's socket to the monitor
};

// Checks the header. 0, or -EPROTO.
int program_open(struct program *p, const uint8_t *file, size_t size);
// Steps to the next operation: 1, 0 at the end, -EPROTO.
int program_next(struct program *p);
uint64_t arg_number(struct program *p);
const char *arg_text(struct program *p); // never NULL; "" when absent
const uint8_t *arg_bytes(struct program *p, size_t *n);
int arg_slot(struct program *p); // the descriptor in a slot; -1 where the program says none
void set_slot(struct program *p, uint64_t slot, int fd);

// Carries out the current operation, which is neither OP_KEEP nor OP_CLONE. 0 or -errno.
long operate(struct program *p);
// The families of operations; -EPROTO for an opcode that is not theirs.
long operate_file(struct program *p);
long operate_mount(struct program *p);
long operate_credential(struct program *p);
long operate_process(struct program *p);

// openat2 below `root` with no way out of it and no magic links, whatever the tree holds.
long open_in_root(int root, const char *path, uint64_t flags, uint64_t extra_resolve);
