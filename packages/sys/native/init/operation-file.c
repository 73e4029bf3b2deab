// Files and directories. Paths inside the container's root are only ever resolved with open_in_root.
#include <linux/openat2.h>

#include "program.h"
#include "text.h"

static long openat2(int dirfd, const char *path, struct open_how how) {
  how.flags |= O_CLOEXEC;
  for (;;) {
    long fd = sys(__NR_openat2, dirfd, path, &how, sizeof how);
    // EAGAIN: somebody renamed a component while the kernel resolved `..`; it asks to try again.
    if (fd != -EINTR && fd != -EAGAIN) return fd;
  }
}

long open_in_root(int root, const char *path, uint64_t flags, uint64_t extra_resolve) {
  return openat2(root, path,
                 (struct open_how){.flags = flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | extra_resolve});
}

static long open_op(struct program *p) {
  uint64_t slot = arg_number(p);
  int dirfd = arg_slot(p);
  const char *path = arg_text(p);
  uint64_t flags = arg_number(p), mode = arg_number(p), resolve = arg_number(p);
  long fd = openat2(dirfd, path, (struct open_how){.flags = flags, .mode = mode, .resolve = resolve});
  if (fd >= 0) set_slot(p, slot, (int)fd);
  return fd;
}

static long write_file_op(struct program *p) {
  int dirfd = arg_slot(p);
  const char *path = arg_text(p);
  uint64_t resolve = arg_number(p);
  size_t n;
  const uint8_t *data = arg_bytes(p, &n);
  cleanup_fd int fd = (int)openat2(dirfd, path, (struct open_how){.flags = O_WRONLY, .resolve = resolve});
  if (fd < 0) return fd;
  // One write: the kernel's files take a value whole or not at all.
  long written = sys(__NR_write, fd, data, n);
  return written < 0 ? written : 0;
}

// Copies the next component of *path into `name`. 0 at the end of the path.
static int next_component(const char **path, char name[256]) {
  while (**path == '/') (*path)++;
  size_t n = 0;
  while ((*path)[n] && (*path)[n] != '/') n++;
  if (n == 0) return 0;
  if (n > 255) return -ENAMETOOLONG;
  memcpy(name, *path, n);
  name[n] = 0;
  *path += n;
  return 1;
}

static int is_last(const char *rest) {
  while (*rest == '/') rest++;
  return *rest == 0;
}

static long make_child(int dir, const char *name, int as_file, uint32_t mode) {
  if (!as_file) {
    long made = sys(__NR_mkdirat, dir, name, mode);
    return made == -EEXIST ? 0 : made;
  }
  cleanup_fd int file = (int)sys(__NR_openat, dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, mode);
  return file == -EEXIST ? 0 : file < 0 ? file : 0;
}

// Opens `path` below `root`, making what is missing: parents as directories, the last component as asked. Existing
// symbolic links are followed inside the root; the kernel resolves each prefix anew, so a link swapped in meanwhile
// can lead nowhere but into the root.
static long resolve_making(int root, const char *path, int kind, uint64_t extra_resolve) {
  char prefix[4096] = ".", name[256];
  size_t length = 1;
  const char *rest = path;
  cleanup_fd int dir = (int)open_in_root(root, ".", O_PATH | O_DIRECTORY, 0);
  if (dir < 0) return dir;
  for (int more; (more = next_component(&rest, name)) != 0;) {
    if (more < 0) return more;
    size_t n = text_length(name);
    if (length + n + 2 > sizeof prefix) return -ENAMETOOLONG;
    prefix[length++] = '/';
    memcpy(prefix + length, name, n + 1);
    length += n;
    int file = kind == RESOLVE_FILE && is_last(rest);
    int next = (int)open_in_root(root, prefix, O_PATH | (file ? 0 : O_DIRECTORY), extra_resolve);
    if (next == -ENOENT) {
      long made = make_child(dir, name, file, file ? 0644 : 0755);
      if (made < 0) return made;
      next = (int)sys(__NR_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (file ? 0 : O_DIRECTORY));
    }
    if (next < 0) return next;
    close_fd(&dir);
    dir = next;
  }
  int found = dir;
  dir = -1;
  return found;
}

static long resolve_op(struct program *p) {
  uint64_t slot = arg_number(p);
  int root = arg_slot(p);
  const char *path = arg_text(p);
  uint64_t kind = arg_number(p), resolve = arg_number(p);
  long fd = open_in_root(root, path, O_PATH, resolve);
  if (fd == -ENOENT && kind != RESOLVE_EXISTING) fd = resolve_making(root, path, (int)kind, resolve);
  if (fd >= 0) set_slot(p, slot, (int)fd);
  return fd;
}

static long mknodat_op(struct program *p) {
  int dirfd = arg_slot(p);
  const char *path = arg_text(p);
  uint64_t mode = arg_number(p), major = arg_number(p), minor = arg_number(p);
  uint64_t device = (minor & 0xff) | (major << 8) | ((minor & ~0xffull) << 12);
  return sys(__NR_mknodat, dirfd, path, mode, device);
}

static long symlinkat_op(struct program *p) {
  const char *target = arg_text(p);
  int dirfd = arg_slot(p);
  return sys(__NR_symlinkat, target, dirfd, arg_text(p));
}

static long mkdirat_op(struct program *p) {
  int dirfd = arg_slot(p);
  const char *path = arg_text(p);
  return sys(__NR_mkdirat, dirfd, path, arg_number(p));
}

struct statfs_start {
  long type;
  uint8_t rest[248];
};

static long verify_fs_op(struct program *p) {
  int fd = arg_slot(p);
  struct statfs_start fs;
  long result = sys(__NR_fstatfs, fd, &fs);
  if (result < 0) return result;
  return (uint64_t)fs.type == arg_number(p) ? 0 : -EINVAL;
}

long operate_file(struct program *p) {
  switch (p->opcode) {
  case OP_OPEN: return open_op(p);
  case OP_CLOSE: return set_slot(p, arg_number(p), -1), 0;
  case OP_WRITE_FILE: return write_file_op(p);
  case OP_RESOLVE: return resolve_op(p);
  case OP_MKNODAT: return mknodat_op(p);
  case OP_SYMLINKAT: return symlinkat_op(p);
  case OP_MKDIRAT: return mkdirat_op(p);
  case OP_VERIFY_FS: return verify_fs_op(p);
  default: return -EPROTO;
  }
}
