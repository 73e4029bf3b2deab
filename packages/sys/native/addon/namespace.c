/* Namespaces are entered only by threads that end right after: Node's own threads never leave theirs. */
#include "sys.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

int run_in_thread(void *(*function)(void *), void *argument) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  /* Room for Node's thread-local storage, which counts; untouched pages cost nothing. */
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, &attributes, function, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error != 0 ? error : pthread_join(thread, NULL);
}

/* In ascending order of the flag, which is the order of the answer. */
static const struct {
  uint64_t flag;
  const char *path;
} namespaces[] = {
    {0x00000080, "/proc/thread-self/ns/time_for_children"},
    {CLONE_NEWNS, "/proc/thread-self/ns/mnt"},
    {CLONE_NEWCGROUP, "/proc/thread-self/ns/cgroup"},
    {CLONE_NEWUTS, "/proc/thread-self/ns/uts"},
    {CLONE_NEWIPC, "/proc/thread-self/ns/ipc"},
    {CLONE_NEWUSER, "/proc/thread-self/ns/user"},
    {CLONE_NEWPID, "/proc/thread-self/ns/pid_for_children"},
    {CLONE_NEWNET, "/proc/thread-self/ns/net"},
};
enum { NAMESPACES = sizeof namespaces / sizeof *namespaces };

struct unshare_work {
  napi_async_work work;
  napi_deferred deferred;
  unsigned long flags;
  size_t count;
  int fds[NAMESPACES];
  int error;
  const char *failed, *path;
};

static void close_all(struct unshare_work *work) {
  while (work->count > 0)
    close(work->fds[--work->count]);
}

static void *unshare_in_thread(void *data) {
  struct unshare_work *work = data;
  work->failed = "unshare";
  if (syscall(SYS_unshare, work->flags) < 0) {
    work->error = errno;
    return NULL;
  }
  for (size_t i = 0; i < NAMESPACES; i++) {
    if ((work->flags & namespaces[i].flag) == 0) continue;
    int fd = open(namespaces[i].path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      work->error = errno;
      work->failed = "open";
      work->path = namespaces[i].path;
      close_all(work);
      return NULL;
    }
    work->fds[work->count++] = fd;
  }
  return NULL;
}

static void unshare_execute(napi_env env, void *data) {
  (void)env;
  struct unshare_work *work = data;
  int error = run_in_thread(unshare_in_thread, work);
  if (error == 0) return;
  work->error = error;
  work->failed = "pthread_create";
}

static void unshare_complete(napi_env env, napi_status status, void *data) {
  struct unshare_work *work = data;
  napi_value value;
  if (status == napi_ok && work->error == 0) {
    value = int_array(env, work->fds, work->count);
    if (value == NULL || napi_resolve_deferred(env, work->deferred, value) != napi_ok) close_all(work);
  } else {
    value = sys_error(env, work->failed ? work->failed : "unshare", work->path, work->error ? work->error : ECANCELED,
                      NULL);
    if (value != NULL) napi_reject_deferred(env, work->deferred, value);
  }
  napi_delete_async_work(env, work->work);
  free(work);
}

SYSCALL(unshare) {
  unsigned long flags = (unsigned long)arg_i64(call);
  napi_value promise, name;
  if (call->bad) return NULL;
  struct unshare_work *work = calloc(1, sizeof *work);
  if (work == NULL) return call_fail(call, ENOMEM, NULL);
  work->flags = flags;
  if (napi_create_string_utf8(call->env, "tsc:unshare", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(call->env, NULL, name, unshare_execute, unshare_complete, work, &work->work) == napi_ok &&
      napi_create_promise(call->env, &work->deferred, &promise) == napi_ok &&
      napi_queue_async_work(call->env, work->work) == napi_ok)
    return promise;
  if (work->work != NULL) napi_delete_async_work(call->env, work->work);
  free(work);
  return call_fail(call, ENOMEM, NULL);
}

struct socket_request {
  int netns, domain, type, protocol;
  int fd, error;
  const char *failed;
};

static void *socket_in_thread(void *data) {
  struct socket_request *request = data;
  request->failed = "setns";
  if (syscall(SYS_setns, request->netns, CLONE_NEWNET) == 0) {
    request->failed = "socket";
    request->fd = socket(request->domain, request->type | SOCK_CLOEXEC, request->protocol);
  }
  request->error = request->fd < 0 ? errno : 0;
  return NULL;
}

SYSCALL(socket_in_netns) {
  struct socket_request request = {.netns = arg_int(call), .fd = -1};
  request.domain = arg_int(call);
  request.type = arg_int(call);
  request.protocol = arg_int(call);
  if (call->bad) return NULL;
  int error = run_in_thread(socket_in_thread, &request);
  call->name = error != 0 ? "pthread_create" : request.failed;
  if (error != 0 || request.error != 0) return call_fail(call, error != 0 ? error : request.error, NULL);
  return call_descriptor(call, request.fd);
}
