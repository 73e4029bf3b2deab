/* The addon's one header: how a function reads its arguments, answers and fails, and the list of all functions. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define NAPI_VERSION 9

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Every function of the addon, by the name JavaScript sees; `Native` in src/binding.ts is the same list with types. */
#define SYS_FUNCTIONS(X)                                                                                               \
  X(openat2)                                                                                                           \
  X(mkdirat)                                                                                                           \
  X(mknodat)                                                                                                           \
  X(symlinkat)                                                                                                         \
  X(linkat)                                                                                                            \
  X(unlinkat) X(renameat2) X(readlinkat) X(fchownat) X(fchmodat) X(utimensat) X(statx) X(fstatfsType) X(getxattr)      \
      X(lgetxattr) X(fgetxattr) X(setxattr) X(lsetxattr) X(fsetxattr) X(llistxattr) X(flistxattr) X(lremovexattr)      \
          X(flock) X(syncfs) X(run_file_batch) X(copy_file_range) X(memfd_create) X(fcntl) X(ioctl) X(mount)           \
              X(umount2) X(fsopen) X(fsconfig) X(fsmount) X(move_mount) X(open_tree) X(mount_setattr) X(pivot_root)    \
                  X(pidfd_open) X(pidfd_send_signal) X(waitid) X(prctl) X(unshare) X(spawn) X(bpf_prog_load)           \
                      X(bpf_prog_attach) X(socket) X(socket_in_netns) X(socketpair) X(bind) X(listen) X(connect)       \
                          X(setsockopt) X(getsockopt) X(sendmsg) X(recvmsg) X(shutdown) X(send_file) X(read_cached) \
                              X(malloc_trim)

/* One call from JavaScript. Arguments are read in order; a wrong one leaves a TypeError pending and sets `bad`. */
struct call {
  napi_env env;
  const char *name; /* the system call that an error names */
  const char *path; /* the path that an error names, or NULL */
  bool bad;
  unsigned next;
  napi_value argv[8];
  unsigned string_count;
  char *strings[4]; /* freed when the call returns */
};

struct bytes {
  uint8_t *data;
  size_t length;
};

/* Defines the body of a function of SYS_FUNCTIONS: it returns the JavaScript value, or NULL with an exception pending.
 */
#define SYSCALL(function)                                                                                              \
  static napi_value body_##function(struct call *call);                                                                \
  napi_value sys_##function(napi_env env, napi_callback_info info) {                                                   \
    return call_run(env, info, #function, body_##function);                                                            \
  }                                                                                                                    \
  static napi_value body_##function(struct call *call)

#define DECLARE(function) napi_value sys_##function(napi_env env, napi_callback_info info);
SYS_FUNCTIONS(DECLARE)
#undef DECLARE

napi_value call_run(napi_env env, napi_callback_info info, const char *name, napi_value (*body)(struct call *));

/* Arguments. `arg_int` takes what fits an int, `arg_u32` also what JavaScript's bit operators make negative. */
int arg_int(struct call *call);
uint32_t arg_u32(struct call *call);
int64_t arg_i64(struct call *call);
int64_t arg_bigint(struct call *call);
const char *arg_string(struct call *call);
const char *arg_nullable_string(struct call *call);
const char *arg_path(struct call *call); /* a string that errors name, the first one that is not empty */
struct bytes arg_bytes(struct call *call);
bool arg_is_number(struct call *call);
uint32_t arg_int_list(struct call *call, int **list, uint32_t max); /* malloc'ed */
char **arg_string_list(struct call *call);                          /* NULL-terminated, malloc'ed with its strings */
/* The memory of Uint8Arrays, malloc'ed list; `held` becomes an array of them and of what it was, to keep a reference
 * to. */
uint32_t arg_bytes_list(struct call *call, struct bytes **list, napi_value *held);

/* Answers. A negative `result` means errno. */
napi_value call_void(struct call *call, long result);
napi_value call_number(struct call *call, long result);
napi_value call_descriptor(struct call *call, int fd); /* like call_number, and closes it if JavaScript can't have it */
napi_value call_buffer(struct call *call, const void *data, size_t length);
napi_value name_value(napi_env env, const char *name, size_t length); /* a file's name; arguments take it back */

/* Failures. Both return NULL, so a body can return them. */
napi_value call_fail(struct call *call, int error, const char *detail);
napi_value call_type_error(struct call *call, const char *expected);
napi_value sys_error(napi_env env, const char *syscall, const char *path, int error, const char *detail);

/* Sets `object[name]`; NULL values are left out. */
void set_property(napi_env env, napi_value object, const char *name, napi_value value);
void set_number(napi_env env, napi_value object, const char *name, double value);
napi_value int_array(napi_env env, const int *list, size_t count);

/* What file.c and file_batch.c share. */
struct open_how;
int open_resolved(int dirfd, const char *path, struct open_how *how);

/* Runs `function` in a thread of its own, with all signals blocked, and waits for its end. Returns 0 or an errno. */
int run_in_thread(void *(*function)(void *), void *argument);

static inline void cleanup_freep(void *pointer) { free(*(void **)pointer); }
static inline void cleanup_closep(int *fd) {
  int saved = errno;
  if (*fd >= 0) close(*fd);
  errno = saved;
}
static inline void cleanup_strvp(char ***list) {
  if (*list == NULL) return;
  for (char **item = *list; *item != NULL; item++) free(*item);
  free(*list);
}
#define cleanup_free __attribute__((cleanup(cleanup_freep)))
#define cleanup_close __attribute__((cleanup(cleanup_closep)))
#define cleanup_strv __attribute__((cleanup(cleanup_strvp)))
