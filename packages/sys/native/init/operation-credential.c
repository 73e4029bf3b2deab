// Who the process is and what it may do.
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "program.h"
#include "text.h"

static long prctl_op(struct program *p) {
  uint64_t a[5];
  for (int i = 0; i < 5; i++) a[i] = arg_number(p);
  long result = sys(__NR_prctl, a[0], a[1], a[2], a[3], a[4]);
  return result < 0 ? result : 0;
}

static long setgroups_op(struct program *p) {
  size_t n;
  const uint8_t *groups = arg_bytes(p, &n);
  return sys(__NR_setgroups, n / 4, groups);
}

static long capset_op(struct program *p) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  uint64_t effective = arg_number(p), permitted = arg_number(p), inheritable = arg_number(p);
  for (int i = 0; i < 2; i++)
    data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(effective >> 32 * i),
                                              .permitted = (uint32_t)(permitted >> 32 * i),
                                              .inheritable = (uint32_t)(inheritable >> 32 * i)};
  return sys(__NR_capset, &header, data);
}

// Drops every capability that is not in the mask from the bounding set. EINVAL ends it: the kernel knows no more.
static long capbound_op(struct program *p) {
  uint64_t mask = arg_number(p);
  for (int cap = 0; cap < 64; cap++) {
    if (mask >> cap & 1) continue;
    long result = sys(__NR_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (result == -EINVAL) return 0;
    if (result < 0) return result;
  }
  return 0;
}

static long capambient_op(struct program *p) {
  uint64_t mask = arg_number(p);
  long result = sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int cap = 0; cap < 64 && result == 0; cap++)
    if (mask >> cap & 1) result = sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
  return result;
}

static long seccomp_op(struct program *p) {
  uint64_t flags = arg_number(p);
  size_t n;
  const uint8_t *filter = arg_bytes(p, &n);
  struct sock_fprog fprog = {.len = (unsigned short)(n / sizeof(struct sock_filter)), .filter = (void *)filter};
  if (n / sizeof(struct sock_filter) > BPF_MAXINSNS) return -EINVAL;
  return sys(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
}

static long prlimit_op(struct program *p) {
  uint64_t resource = arg_number(p);
  uint64_t limit[2] = {arg_number(p), 0};
  limit[1] = arg_number(p);
  return sys(__NR_prlimit64, 0, resource, limit, NULL);
}

static long setres_op(struct program *p, long number) {
  uint64_t id = arg_number(p);
  return sys(number, id, id, id);
}

// A session keyring of its own, so that keys of the host's session are out of reach. Without keys in the kernel there
// is nothing to hide.
static long keyring_op(void) {
  long result = sys(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  return result == -ENOSYS || result > 0 ? 0 : result;
}

// Gives pipes and terminals on 0, 1 and 2 to the user, who may want to open /dev/stdout anew. Never a device that
// others share.
static long stdio_owner_op(struct program *p) {
  uint64_t uid = arg_number(p), gid = arg_number(p);
  for (int fd = 0; fd < 3; fd++) {
    struct statx stat;
    if (sys(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat) < 0) continue;
    int is_pty = (stat.stx_mode & S_IFMT) == S_IFCHR && stat.stx_rdev_major >= 136 && stat.stx_rdev_major < 144;
    if (is_pty || (stat.stx_mode & S_IFMT) == S_IFIFO) sys(__NR_fchown, fd, uid, gid);
  }
  return 0;
}

long operate_credential(struct program *p) {
  switch (p->opcode) {
  case OP_PRCTL: return prctl_op(p);
  case OP_SETGROUPS: return setgroups_op(p);
  case OP_SETRESGID: return setres_op(p, __NR_setresgid);
  case OP_SETRESUID: return setres_op(p, __NR_setresuid);
  case OP_CAPSET: return capset_op(p);
  case OP_CAPBOUND: return capbound_op(p);
  case OP_CAPAMBIENT: return capambient_op(p);
  case OP_SECCOMP: return seccomp_op(p);
  case OP_PRLIMIT: return prlimit_op(p);
  case OP_UMASK: return sys(__NR_umask, arg_number(p)), 0;
  case OP_STDIO_OWNER: return stdio_owner_op(p);
  case OP_KEYRING: return keyring_op();
  default: return -EPROTO;
  }
}
