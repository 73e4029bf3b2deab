/* A list of operations on files, encoded by src/file-batch.ts, carried out in order on a thread of libuv's pool. */
#include "sys.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* Codes and arguments are those of src/file-batch.ts; all are little-endian and without padding. */
enum { OP_OPENAT2 = 1, OP_PWRITE, OP_FTRUNCATE, OP_FCHOWN, OP_FCHMOD, OP_FSETXATTR, OP_FUTIMENS, OP_SYNCFS, OP_CLOSE };

struct batch {
  napi_env env;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref held; /* keeps the memory of `program` and `data` */
  struct bytes program;
  struct bytes *data;
  uint32_t data_count;
  char **strings;
  uint32_t string_count;

  size_t at;        /* in `program` */
  uint32_t done;    /* operations completed */
  int fd;           /* that the operations are about, or -1 */
  int error;        /* of the operation that failed, or 0 */
  const char *name; /* of its system call */
  const char *path;
};

static bool take(struct batch *batch, void *value, size_t size) {
  if (batch->program.length - batch->at < size) return false;
  memcpy(value, batch->program.data + batch->at, size);
  batch->at += size;
  return true;
}

static bool take_string(struct batch *batch, const char **string) {
  uint32_t index;
  if (!take(batch, &index, sizeof index) || index >= batch->string_count) return false;
  *string = batch->strings[index];
  return true;
}

static bool take_bytes(struct batch *batch, struct bytes *bytes) {
  struct {
    uint32_t index, from, length;
  } slice;
  if (!take(batch, &slice, sizeof slice) || slice.index >= batch->data_count) return false;
  const struct bytes *data = &batch->data[slice.index];
  if (slice.from > data->length || slice.length > data->length - slice.from) return false;
  *bytes = (struct bytes){data->data + slice.from, slice.length};
  return true;
}

/* Each returns the answer of its system call, or a negative number with errno: EPROTO where the program is malformed.
 */
static long malformed(void) {
  errno = EPROTO;
  return -1;
}

static long run_openat2(struct batch *batch) {
  struct {
    int32_t dirfd;
    uint32_t flags, mode, resolve;
  } argument;
  const char *path;
  if (!take(batch, &argument, sizeof argument) || !take_string(batch, &path) || batch->fd >= 0) return malformed();
  struct open_how how = {.flags = argument.flags | O_CLOEXEC, .mode = argument.mode, .resolve = argument.resolve};
  batch->path = path;
  batch->fd = open_resolved(argument.dirfd, path, &how);
  return batch->fd;
}

static long run_pwrite(struct batch *batch) {
  struct bytes data;
  int64_t offset;
  if (!take_bytes(batch, &data) || !take(batch, &offset, sizeof offset)) return malformed();
  for (size_t at = 0; at < data.length;) {
    ssize_t written = pwrite(batch->fd, data.data + at, data.length - at, offset + (int64_t)at);
    if (written < 0 && errno != EINTR) return -1;
    if (written > 0) at += (size_t)written;
  }
  return 0;
}

static long run_fsetxattr(struct batch *batch) {
  const char *name;
  struct bytes value;
  if (!take_string(batch, &name) || !take_bytes(batch, &value)) return malformed();
  return fsetxattr(batch->fd, name, value.data, value.length, 0);
}

static bool take_time(struct batch *batch, struct timespec *time) {
  int64_t seconds;
  uint32_t nanoseconds;
  if (!take(batch, &seconds, sizeof seconds) || !take(batch, &nanoseconds, sizeof nanoseconds)) return false;
  *time = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
  return true;
}

static long run_futimens(struct batch *batch) {
  struct timespec times[2];
  if (!take_time(batch, &times[0]) || !take_time(batch, &times[1])) return malformed();
  return futimens(batch->fd, times);
}

static long run_close(struct batch *batch) {
  int fd = batch->fd;
  batch->fd = -1;
  return close(fd);
}

static long run_operation(struct batch *batch, uint32_t code) {
  int64_t size;
  uint32_t number[2];
  switch (code) {
  case OP_OPENAT2: batch->name = "openat2"; return run_openat2(batch);
  case OP_PWRITE: batch->name = "pwrite"; return run_pwrite(batch);
  case OP_FTRUNCATE:
    batch->name = "ftruncate";
    return take(batch, &size, sizeof size) ? ftruncate(batch->fd, size) : malformed();
  case OP_FCHOWN:
    batch->name = "fchown";
    return take(batch, number, sizeof number) ? fchown(batch->fd, number[0], number[1]) : malformed();
  case OP_FCHMOD:
    batch->name = "fchmod";
    return take(batch, number, sizeof *number) ? fchmod(batch->fd, number[0]) : malformed();
  case OP_FSETXATTR: batch->name = "fsetxattr"; return run_fsetxattr(batch);
  case OP_FUTIMENS: batch->name = "futimens"; return run_futimens(batch);
  case OP_SYNCFS: batch->name = "syncfs"; return syncfs(batch->fd);
  case OP_CLOSE: batch->name = "close"; return run_close(batch);
  default: batch->name = "file batch"; return malformed();
  }
}

static void batch_execute(napi_env env, void *data) {
  (void)env;
  struct batch *batch = data;
  uint32_t code;
  while (batch->at < batch->program.length) {
    if (!take(batch, &code, sizeof code)) code = 0;
    batch->path = NULL;
    if (run_operation(batch, code) < 0) {
      batch->error = errno;
      return;
    }
    batch->done++;
  }
}

static void batch_free(struct batch *batch) {
  if (batch->work != NULL) napi_delete_async_work(batch->env, batch->work);
  if (batch->held != NULL) napi_delete_reference(batch->env, batch->held);
  cleanup_strvp(&batch->strings);
  free(batch->data);
  free(batch);
}

/* Answers with an object in any case: what was done, and what is left open, matter after a failure too. */
static void batch_complete(napi_env env, napi_status status, void *data) {
  struct batch *batch = data;
  napi_value result = NULL;
  if (status != napi_ok && batch->error == 0) batch->error = ECANCELED;
  if (napi_create_object(env, &result) == napi_ok) {
    set_number(env, result, "done", batch->done);
    set_number(env, result, "at", (double)batch->at);
    set_number(env, result, "fd", batch->fd);
    if (batch->error != 0)
      set_property(env, result, "error",
                   sys_error(env, batch->name ? batch->name : "file batch", batch->path, batch->error, NULL));
    napi_resolve_deferred(env, batch->deferred, result);
  }
  batch_free(batch);
}

static uint32_t count_strings(char **strings) {
  uint32_t count = 0;
  while (strings != NULL && strings[count] != NULL) count++;
  return count;
}

SYSCALL(run_file_batch) {
  napi_value promise, name, held = NULL;
  struct batch *batch = calloc(1, sizeof *batch);
  if (batch == NULL) return call_fail(call, ENOMEM, NULL);
  batch->env = call->env;
  held = call->argv[0];
  batch->program = arg_bytes(call);
  batch->strings = arg_string_list(call);
  batch->string_count = count_strings(batch->strings);
  batch->data_count = arg_bytes_list(call, &batch->data, &held);
  batch->at = (size_t)arg_i64(call);
  batch->fd = arg_int(call);
  if (call->bad || batch->at > batch->program.length) {
    batch_free(batch);
    return call->bad ? NULL : call_type_error(call, "a place in the program");
  }
  if (napi_create_reference(call->env, held, 1, &batch->held) == napi_ok &&
      napi_create_string_utf8(call->env, "tsc:file-batch", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(call->env, NULL, name, batch_execute, batch_complete, batch, &batch->work) == napi_ok &&
      napi_create_promise(call->env, &batch->deferred, &promise) == napi_ok &&
      napi_queue_async_work(call->env, batch->work) == napi_ok)
    return promise;
  batch_free(batch);
  return call_fail(call, ENOMEM, NULL);
}
