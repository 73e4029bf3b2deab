#include "sys.h"

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

enum { LOG_SIZE = 256 * 1024, LOG_TAIL = 2048 };

/* The verifier gives up with EAGAIN when a signal is pending. */
static int bpf(int command, union bpf_attr *attributes) {
  int result, tries = 8;
  do
    result = (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
  while (result < 0 && errno == EAGAIN && --tries > 0);
  return result;
}

/* Loads once more with a log, since asking for one costs time that a program without faults need not spend. */
static napi_value fail_with_log(struct call *call, union bpf_attr *attributes) {
  const int error = errno;
  cleanup_free char *log = calloc(1, LOG_SIZE);
  if (log == NULL) return call_fail(call, error, NULL);
  attributes->log_level = 1;
  attributes->log_buf = (uintptr_t)log;
  attributes->log_size = LOG_SIZE;
  int fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd >= 0) return call_descriptor(call, fd);
  size_t length = strlen(log);
  while (length > 0 && log[length - 1] == '\n')
    log[--length] = '\0';
  return call_fail(call, error, length == 0 ? NULL : log + (length > LOG_TAIL ? length - LOG_TAIL : 0));
}

SYSCALL(bpf_prog_load) {
  call->name = "bpf";
  uint32_t type = arg_u32(call);
  struct bytes instructions = arg_bytes(call);
  const char *license = arg_string(call);
  if (!call->bad && instructions.length % sizeof(struct bpf_insn) != 0)
    call_type_error(call, "a program of whole instructions");
  if (call->bad) return NULL;

  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = type;
  attributes.insns = (uintptr_t)instructions.data;
  attributes.insn_cnt = (uint32_t)(instructions.length / sizeof(struct bpf_insn));
  attributes.license = (uintptr_t)license;
  int fd = bpf(BPF_PROG_LOAD, &attributes);
  return fd < 0 ? fail_with_log(call, &attributes) : call_descriptor(call, fd);
}

SYSCALL(bpf_prog_attach) {
  call->name = "bpf";
  int target = arg_int(call), program = arg_int(call);
  uint32_t type = arg_u32(call), flags = arg_u32(call);
  if (call->bad) return NULL;
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)target;
  attributes.attach_bpf_fd = (uint32_t)program;
  attributes.attach_type = type;
  attributes.attach_flags = flags;
  return call_void(call, bpf(BPF_PROG_ATTACH, &attributes));
}
