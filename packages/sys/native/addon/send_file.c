/* Files sent to sockets by threads of our own, so that neither the event loop nor its pool waits for a slow reader. */
#include "sys.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <time.h>

enum {
  THREADS = 4,              /* more than one, as reading a file may wait for a disk */
  STACK_BYTES = 128 * 1024, /* little is called */
  TURN_BYTES = 1024 * 1024, /* then another socket has its turn */
};
static const int64_t PROGRESS_NS = 100 * 1000 * 1000;

struct transfer {
  napi_threadsafe_function callback;
  int out, in;
  int64_t offset, left, sent;
  int64_t told_ns;
};

/* What JavaScript is told. */
struct news {
  int64_t sent;
  int error;
  bool done;
};

static int sockets = -1; /* the epoll instance; each transfer is armed for one event at a time */
static int start_error;

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void tell(struct transfer *transfer, int error, bool done) {
  struct news *news = malloc(sizeof *news);
  if (news == NULL && !done) return;
  if (news == NULL) abort(); /* nobody could ever close the descriptors */
  *news = (struct news){transfer->sent, error, done};
  if (napi_call_threadsafe_function(transfer->callback, news, napi_tsfn_nonblocking) != napi_ok) free(news);
}

static void finish(struct transfer *transfer, int error) {
  /* Closing doesn't take it from there: another descriptor of the same socket is open, Node's. */
  epoll_ctl(sockets, EPOLL_CTL_DEL, transfer->out, NULL);
  tell(transfer, error, true);
  napi_release_threadsafe_function(transfer->callback, napi_tsfn_release);
  free(transfer);
}

/* Returns 0 when the transfer goes on, EINPROGRESS when it is complete, or what failed. */
static int send_some(struct transfer *transfer) {
  for (int64_t turn = TURN_BYTES; turn > 0;) {
    size_t count = (size_t)(transfer->left < turn ? transfer->left : turn);
    off_t offset = transfer->offset;
    ssize_t sent = sendfile(transfer->out, transfer->in, &offset, count);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? 0 : errno;
    if (sent == 0) return ENODATA; /* the file is shorter than it was */
    transfer->offset += sent;
    transfer->left -= sent;
    transfer->sent += sent;
    if (transfer->left == 0) return EINPROGRESS;
    turn -= sent;
  }
  return 0;
}

static void take_turn(struct transfer *transfer) {
  int error = send_some(transfer);
  if (error != 0) {
    finish(transfer, error == EINPROGRESS ? 0 : error);
    return;
  }
  int64_t now = now_ns();
  if (now - transfer->told_ns > PROGRESS_NS) {
    transfer->told_ns = now;
    tell(transfer, 0, false);
  }
  /* From here on another thread may have it. */
  struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = transfer};
  if (epoll_ctl(sockets, EPOLL_CTL_MOD, transfer->out, &event) < 0) finish(transfer, errno);
}

static void *serve(void *unused) {
  (void)unused;
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(sockets, &event, 1, -1) == 1) take_turn(event.data.ptr);
  }
  return NULL;
}

static void start_threads(void) {
  pthread_attr_t attributes;
  sigset_t all, before;
  sockets = epoll_create1(EPOLL_CLOEXEC);
  if (sockets < 0) {
    start_error = errno;
    return;
  }
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int started = 0;
  for (int at = 0; at < THREADS; at++) {
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, serve, NULL);
    if (error == 0) started++;
    if (error != 0 && started == 0) start_error = error;
  }
  if (started > 0) start_error = 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

/* Calls back with what has been sent, whether that is the end, and the error if there was one. */
static void call_back(napi_env env, napi_value callback, void *context, void *data) {
  (void)context;
  struct news *news = data;
  napi_value arguments[3], undefined;
  if (env != NULL && callback != NULL && napi_get_undefined(env, &undefined) == napi_ok &&
      napi_create_int64(env, news->sent, &arguments[0]) == napi_ok &&
      napi_get_boolean(env, news->done, &arguments[1]) == napi_ok) {
    arguments[2] = news->error == 0 ? undefined : sys_error(env, "sendfile", NULL, news->error, NULL);
    napi_call_function(env, undefined, callback, 3, arguments, NULL);
  }
  free(news);
}

SYSCALL(send_file) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int out = arg_int(call), in = arg_int(call);
  int64_t offset = arg_i64(call), count = arg_i64(call);
  napi_value callback = call->argv[4], name;
  if (!call->bad && (offset < 0 || count <= 0)) call_type_error(call, "a place in the file");
  if (call->bad) return NULL;
  pthread_once(&once, start_threads);
  if (start_error != 0) return call_fail(call, start_error, NULL);
  struct transfer *transfer = calloc(1, sizeof *transfer);
  if (transfer == NULL) return call_fail(call, ENOMEM, NULL);
  *transfer = (struct transfer){.out = out, .in = in, .offset = offset, .left = count, .told_ns = now_ns()};
  if (napi_create_string_utf8(call->env, "tsc:send-file", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(call->env, callback, NULL, name, 0, 1, NULL, NULL, NULL, call_back,
                                      &transfer->callback) != napi_ok) {
    free(transfer);
    bool pending = false;
    napi_is_exception_pending(call->env, &pending);
    return pending ? NULL : call_type_error(call, "a function");
  }
  struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = transfer};
  if (epoll_ctl(sockets, EPOLL_CTL_ADD, out, &event) == 0) return call_void(call, 0);
  int error = errno;
  napi_release_threadsafe_function(transfer->callback, napi_tsfn_abort);
  free(transfer);
  return call_fail(call, error, NULL);
}
