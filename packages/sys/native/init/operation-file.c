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

enum { MAX_PATH = 4096, MAX_LINKS = 40 };

// A path that is walked one component at a time below a root.
struct walk {
  char prefix[MAX_PATH]; // what has been walked
  size_t length;
  const char *rest;
  char pending[2][MAX_PATH]; // rests that begin with the target of a link
  int links;
};

static long append(char *path, size_t *length, const char *more) {
  size_t n = text_length(more);
  if (*length + n + 2 > MAX_PATH) return -ENAMETOOLONG;
  path[(*length)++] = '/';
  memcpy(path + *length, more, n + 1);
  *length += n;
  return 0;
}

// If `name` in `dir` is a link, which then leads to something missing, the walk goes on with its target: that is what
// is to be made. 1 if so, 0 if it is no link.
static long follow_dangling(struct walk *w, int dir, const char *name) {
  char *target = w->pending[w->links % 2];
  long n = sys(__NR_readlinkat, dir, name, target, MAX_PATH);
  if (n <= 0) return 0;
  if (n == MAX_PATH) return -ENAMETOOLONG;
  if (++w->links > MAX_LINKS) return -ELOOP;
  size_t length = (size_t)n;
  target[length] = 0;
  if (target[0] == '/') w->length = 1;
  w->prefix[w->length] = 0;
  long added = append(target, &length, w->rest);
  if (added < 0) return added;
  w->rest = target;
  return 1;
}

// Opens `path` below `root`, making what is missing: parents as directories, the last component as asked. Symbolic
// links are followed inside the root; the kernel resolves each prefix anew, so a link swapped in meanwhile can lead
// nowhere but into the root.
static long resolve_making(int root, const char *path, int kind, uint64_t extra_resolve) {
  static struct walk w;
  char name[256];
  cleanup_fd int dir = -1;
  w = (struct walk){.prefix = ".", .length = 1, .rest = path};
  for (;;) {
    close_fd(&dir);
    dir = (int)open_in_root(root, w.prefix, O_PATH | O_DIRECTORY, extra_resolve);
    if (dir < 0) return dir;
    int more = next_component(&w.rest, name);
    if (more < 0) return more;
    if (more == 0) break;
    size_t before = w.length;
    long result = append(w.prefix, &w.length, name);
    if (result < 0) return result;
    int file = kind == RESOLVE_FILE && is_last(w.rest);
    int flags = O_PATH | (file ? 0 : O_DIRECTORY);
    int next = (int)open_in_root(root, w.prefix, (uint64_t)flags, extra_resolve);
    if (next == -ENOENT) {
      w.length = before;
      result = follow_dangling(&w, dir, name);
      if (result < 0) return result;
      if (result > 0) continue;
      result = make_child(dir, name, file, file ? 0644 : 0755);
      if (result >= 0) result = append(w.prefix, &w.length, name);
      if (result < 0) return result;
      next = (int)open_in_root(root, w.prefix, (uint64_t)flags, extra_resolve);
    }
    if (next < 0) return next;
    if (is_last(w.rest)) return next;
    close_fd(&next);
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
