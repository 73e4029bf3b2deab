// Mounts. Targets are descriptors that open_in_root found, never names, so a swapped link can't redirect a mount.
#include <linux/mount.h>
#include <linux/openat2.h>

#include "program.h"
#include "text.h"

enum { MNT_DETACH = 2 };

static const char *text_or_null(const char *s) { return *s ? s : NULL; }

static long mount_op(struct program *p) {
  const char *source = arg_text(p), *target = arg_text(p), *type = arg_text(p);
  uint64_t flags = arg_number(p);
  const char *data = arg_text(p);
  return sys(__NR_mount, text_or_null(source), target, text_or_null(type), flags, text_or_null(data));
}

static long keep(struct program *p, uint64_t slot, long fd) {
  if (fd >= 0) set_slot(p, slot, (int)fd);
  return fd;
}

static long fsopen_op(struct program *p) {
  uint64_t slot = arg_number(p);
  return keep(p, slot, sys(__NR_fsopen, arg_text(p), FSOPEN_CLOEXEC));
}

static long fsconfig_op(struct program *p) {
  int fs = arg_slot(p);
  uint64_t command = arg_number(p);
  const char *key = arg_text(p), *value = arg_text(p);
  // A flag takes no value, a command neither key nor value.
  return sys(__NR_fsconfig, fs, command, text_or_null(key), command == FSCONFIG_SET_STRING ? value : NULL, 0);
}

static long fsmount_op(struct program *p) {
  uint64_t slot = arg_number(p);
  int fs = arg_slot(p);
  return keep(p, slot, sys(__NR_fsmount, fs, FSMOUNT_CLOEXEC, arg_number(p)));
}

static long open_tree_op(struct program *p) {
  uint64_t slot = arg_number(p);
  int dirfd = arg_slot(p);
  const char *path = arg_text(p);
  return keep(p, slot, sys(__NR_open_tree, dirfd, path, arg_number(p) | OPEN_TREE_CLOEXEC));
}

static long set_attributes(int fd, uint64_t flags, struct mount_attr attr) {
  return sys(__NR_mount_setattr, fd, "", flags | AT_EMPTY_PATH, &attr, sizeof attr);
}

static long mount_setattr_op(struct program *p) {
  int fd = arg_slot(p);
  uint64_t flags = arg_number(p);
  struct mount_attr attr = {.attr_set = arg_number(p)};
  attr.attr_clr = arg_number(p);
  attr.propagation = arg_number(p);
  int userns = arg_slot(p);
  attr.userns_fd = userns < 0 ? 0 : (uint64_t)userns;
  return set_attributes(fd, flags, attr);
}

static long attach(int mount, int target) {
  return sys(__NR_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static long move_mount_op(struct program *p) {
  int from = arg_slot(p), to = arg_slot(p);
  const char *path = arg_text(p);
  if (*path == 0) return attach(from, to);
  return sys(__NR_move_mount, from, "", to, path, MOVE_MOUNT_F_EMPTY_PATH);
}

static long pivot_root_op(struct program *p) {
  long result = sys(__NR_fchdir, arg_slot(p));
  // With both arguments ".", the old root lies over the new one and is taken off again: no directory is needed for it.
  if (result == 0) result = sys(__NR_pivot_root, ".", ".");
  if (result == 0) result = sys(__NR_umount2, ".", MNT_DETACH);
  return result < 0 ? result : sys(__NR_chdir, "/");
}

static long is_directory(int fd) {
  struct statx stat;
  long result = sys(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat);
  return result < 0 ? result : (stat.stx_mode & S_IFMT) == S_IFDIR;
}

static long empty_directory(void) {
  cleanup_fd int fs = (int)sys(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0) return fs;
  sys(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "nr_blocks", "1", 0);
  long result = sys(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  if (result < 0) return result;
  return sys(__NR_fsmount, fs, FSMOUNT_CLOEXEC,
             MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

// Read-only, because it is the host's own node: a chmod of the masked path would be one of the host's /dev/null.
static long null_cover(int null_device) {
  cleanup_fd int cover = (int)sys(__NR_open_tree, null_device, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (cover < 0) return cover;
  long result = set_attributes(cover, 0, (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC});
  if (result < 0) return result;
  int made = cover;
  cover = -1;
  return made;
}

// Hides a path: a directory under an empty one, anything else under the null device that the program opened on the host
// side (never the container's own /dev/null, which an image may have made a link). A path that is not there is hidden.
static long mask_op(struct program *p) {
  int root = arg_slot(p), null_device = arg_slot(p);
  cleanup_fd int target = (int)open_in_root(root, arg_text(p), O_PATH, 0);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  if (target < 0) return target;
  long directory = is_directory(target);
  if (directory < 0) return directory;
  cleanup_fd int cover = (int)(directory ? empty_directory() : null_cover(null_device));
  return cover < 0 ? cover : attach(cover, target);
}

// Lays a read-only bind of a path over itself.
static long readonly_op(struct program *p) {
  int root = arg_slot(p);
  cleanup_fd int target = (int)open_in_root(root, arg_text(p), O_PATH, 0);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  if (target < 0) return target;
  cleanup_fd int cover =
      (int)sys(__NR_open_tree, target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
  if (cover < 0) return cover;
  long result = set_attributes(cover, AT_RECURSIVE, (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY});
  return result < 0 ? result : attach(cover, target);
}

long operate_mount(struct program *p) {
  switch (p->opcode) {
  case OP_MOUNT: return mount_op(p);
  case OP_FSOPEN: return fsopen_op(p);
  case OP_FSCONFIG: return fsconfig_op(p);
  case OP_FSMOUNT: return fsmount_op(p);
  case OP_OPEN_TREE: return open_tree_op(p);
  case OP_MOUNT_SETATTR: return mount_setattr_op(p);
  case OP_MOVE_MOUNT: return move_mount_op(p);
  case OP_PIVOT_ROOT: return pivot_root_op(p);
  case OP_MASK: return mask_op(p);
  case OP_READONLY: return readonly_op(p);
  default: return -EPROTO;
  }
}
