#include <asm/ioctls.h>
#include <linux/poll.h>

#include "monitor.h"

enum { STDIN_MAX = 64 * 1024 };

static struct line out_line = {.stream = "stdout"}, err_line = {.stream = "stderr"};
static struct log log;
static uint8_t stdin_bytes[STDIN_MAX];
static size_t stdin_length;
static int stdin_ended;

void read_settings(struct program *p, struct settings *s) {
  s->flags = arg_number(p);
  s->listener = arg_slot(p);
  s->run_dir = arg_slot(p);
  s->log_dir = arg_slot(p);
  s->log_name = arg_text(p);
  s->log_max_size = arg_number(p);
  s->log_max_files = arg_number(p);
  uint64_t n = arg_number(p);
  if (n > MAX_COMMAND) p->malformed = 1;
  for (uint64_t i = 0; i < n && !p->malformed; i++) s->cleanup[i] = arg_text(p);
  s->released = arg_bytes(p, &s->released_bytes);
}

// Writes a small file whole: under a name of its own first, then renamed, so that a reader sees all of it or nothing.
static void write_record(int dir, const char *name, const struct text *record, const char *start) {
  static const char temporary[] = ".record";
  if (dir < 0) return;
  int fd = (int)sys(__NR_openat, dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return;
  write_all(fd, start, (size_t)(record->at - start));
  close_fd(&fd);
  sys(__NR_renameat2, dir, temporary, dir, name, 0);
}

static void record_start(const struct settings *s, const struct child *child) {
  char bytes[160];
  struct text t = {bytes, bytes + sizeof bytes, 0};
  text_add(&t, "{\"pid\":");
  text_add_number(&t, child->pid);
  text_add(&t, ",\"startedAt\":\"");
  text_add_time(&t, time_now());
  text_add(&t, "\"}\n");
  write_record(s->run_dir, "started", &t, bytes);
}

static void record_end(const struct settings *s, const struct child *child) {
  char bytes[160];
  struct text t = {bytes, bytes + sizeof bytes, 0};
  text_add(&t, child->code == 1 ? "{\"exitCode\":" : "{\"signal\":");
  text_add_number(&t, (int64_t)child->status);
  text_add(&t, ",\"finishedAt\":\"");
  text_add_time(&t, time_now());
  text_add(&t, "\"}\n");
  write_record(s->run_dir, "exit", &t, bytes);
}

// Passes one chunk of a stream on; closes the stream at its end. A terminal says EIO when its last user has gone.
// Returns whether there may be more.
static int relay_output(int *fd, struct line *line, enum frame frame) {
  static char bytes[CHUNK];
  long n = sys(__NR_read, *fd, bytes, sizeof bytes);
  if (n == -EINTR) return 1;
  if (n == -EAGAIN) return 0;
  if (n <= 0) {
    *fd = -1; // with a terminal the descriptor stays open as the input: it is closed at the end
    return 0;
  }
  log_output(&log, line, bytes, (size_t)n);
  clients_send_output(frame, bytes, (size_t)n);
  return 1;
}

static void close_stdin(const struct settings *s, struct streams *streams) {
  if (s->flags & KEEP_TERMINAL) return;
  close_fd(&streams->in);
}

static void flush_stdin(const struct settings *s, struct streams *streams) {
  while (stdin_length && streams->in >= 0) {
    long n = sys(__NR_write, streams->in, stdin_bytes, stdin_length);
    if (n == -EINTR) continue;
    if (n == -EAGAIN) return;
    if (n < 0) {
      close_stdin(s, streams);
      stdin_length = 0;
      return;
    }
    stdin_length -= (size_t)n;
    memmove(stdin_bytes, stdin_bytes + n, stdin_length);
  }
  if (stdin_ended) close_stdin(s, streams);
}

static void take_stdin(const struct settings *s, struct streams *streams, const uint8_t *data, size_t n) {
  if (streams->in < 0 || stdin_ended) return;
  memcpy(stdin_bytes + stdin_length, data, n);
  stdin_length += n;
  flush_stdin(s, streams);
}

// A terminal has no end: whoever attaches next types on.
static void end_stdin(const struct settings *s, struct streams *streams) {
  if (s->flags & KEEP_TERMINAL) return;
  stdin_ended = 1;
  flush_stdin(s, streams);
}

static void resize(const struct settings *s, struct streams *streams, const uint8_t *data, size_t n) {
  unsigned short size[4] = {0, 0, 0, 0};
  if (n != 4 || !(s->flags & KEEP_TERMINAL)) return;
  memcpy(size, data, 4);
  sys(__NR_ioctl, streams->in, TIOCSWINSZ, size);
}

static int blocked_on_stdin(uint32_t type, size_t n) { return type == FRAME_STDIN && stdin_length + n > STDIN_MAX; }

// Carries out a client's frames. Returns whether the engine has said that it has cleaned up.
static int serve(struct client *c, const struct settings *s, struct streams *streams, struct child *child) {
  uint32_t type, signal;
  const uint8_t *data;
  size_t n;
  int cleaned = 0, whole;
  while (c->fd >= 0 && (whole = client_frame(c, &type, &data, &n)) != 0) {
    if (whole < 0) {
      client_drop(c);
      break;
    }
    if (blocked_on_stdin(type, n)) break;
    if (type == FRAME_STDIN) take_stdin(s, streams, data, n);
    if (type == FRAME_STDIN_EOF) end_stdin(s, streams);
    if (type == FRAME_RESIZE) resize(s, streams, data, n);
    if (type == FRAME_ATTACH) c->attached = 1;
    if (type == FRAME_CLEANED && c->control) cleaned = 1;
    if (type == FRAME_SIGNAL && n == 4 && !child->ended) {
      memcpy(&signal, data, 4);
      sys(__NR_pidfd_send_signal, child->pidfd, signal, NULL, 0);
    }
    client_consume(c, n);
  }
  return cleaned;
}

static void lose(struct client *c, const struct settings *s, struct streams *streams) {
  if (c->control && (s->flags & KEEP_STDIN_ONCE)) end_stdin(s, streams);
  client_drop(c);
}

static void send_end(struct client *c, const struct child *child) {
  uint32_t end[2] = {child->code, child->status};
  client_send(c, FRAME_EXIT, end, sizeof end);
}

static void accept_client(int listener, const struct child *child) {
  struct {
    int pid;
    unsigned uid, gid;
  } peer = {0, ~0u, ~0u};
  int size = sizeof peer, fd = (int)sys(__NR_accept4, listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  sys(__NR_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  if (peer.uid != 0 && (long)peer.uid != sys(__NR_geteuid)) {
    close_fd(&fd);
    return;
  }
  struct client *c = client_add(fd, 0, 0);
  uint32_t pid = (uint32_t)child->pid;
  if (c) client_send(c, FRAME_STARTED, &pid, sizeof pid);
  if (c && child->announced) send_end(c, child);
}

static void reap(struct child *child) {
  int info[32];
  if (sys(__NR_waitid, P_PIDFD, child->pidfd, info, WEXITED, NULL) < 0) return;
  child->ended = 1;
  child->code = (uint32_t)info[2];
  child->status = (uint32_t)info[6];
}

enum { WATCH_CHILD, WATCH_OUT, WATCH_ERR, WATCH_IN, WATCH_LISTENER, WATCH_CLIENTS };

static int wait_for_events(struct pollfd *watch, const struct settings *s, const struct streams *streams,
                           const struct child *child) {
  int room = clients_have_room(child->ended);
  watch[WATCH_CHILD] = (struct pollfd){child->ended ? -1 : child->pidfd, POLLIN, 0};
  watch[WATCH_OUT] = (struct pollfd){room ? streams->out : -1, POLLIN, 0};
  watch[WATCH_ERR] = (struct pollfd){room ? streams->err : -1, POLLIN, 0};
  watch[WATCH_IN] = (struct pollfd){stdin_length ? streams->in : -1, POLLOUT, 0};
  watch[WATCH_LISTENER] = (struct pollfd){s->listener, POLLIN, 0};
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *c = clients + i;
    // A client whose next frame waits for room on standard input is not read from until there is some.
    int reads = c->in_length < sizeof c->in && !(c->in_length >= 4 && stdin_length);
    watch[WATCH_CLIENTS + i] = (struct pollfd){c->fd, (short)((reads ? POLLIN : 0) | (c->out_length ? POLLOUT : 0)), 0};
  }
  return (int)sys(__NR_ppoll, watch, WATCH_CLIENTS + MAX_CLIENTS, NULL, NULL, 8);
}

// One round of the loop. Returns whether the engine has cleaned up.
static int handle_events(struct pollfd *watch, const struct settings *s, struct streams *streams, struct child *child) {
  int cleaned = 0;
  if (watch[WATCH_OUT].revents) relay_output(&streams->out, &out_line, FRAME_STDOUT);
  if (watch[WATCH_ERR].revents) relay_output(&streams->err, &err_line, FRAME_STDERR);
  if (watch[WATCH_IN].revents) flush_stdin(s, streams);
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *c = clients + i;
    short events = c->fd >= 0 ? watch[WATCH_CLIENTS + i].revents : 0;
    if (events & POLLOUT) client_flush(c);
    if (events & (POLLIN | POLLHUP | POLLERR) && c->fd >= 0 && !client_receive(c)) lose(c, s, streams);
    if (c->fd >= 0 && c->in_length) cleaned |= serve(c, s, streams, child);
  }
  if (watch[WATCH_LISTENER].revents) accept_client(s->listener, child);
  if (watch[WATCH_CHILD].revents) reap(child);
  return cleaned;
}

// After the end: takes what the pipes still hold. A process that a finished exec left behind may keep them open for
// ever, so empty is the end, too. Returns whether that is all.
static int drain(struct streams *streams) {
  while (clients_have_room(1)) {
    int more = 0;
    if (streams->out >= 0) more |= relay_output(&streams->out, &out_line, FRAME_STDOUT);
    if (streams->err >= 0) more |= relay_output(&streams->err, &err_line, FRAME_STDERR);
    if (!more) return 1;
  }
  return 0;
}

static void announce_end(const struct settings *s, struct child *child) {
  log_end(&log, &out_line);
  log_end(&log, &err_line);
  record_end(s, child);
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++) send_end(c, child);
  child->announced = 1;
}

enum { PATIENCE_SECONDS = 1 };

// Before the monitor goes: slow readers get what is still theirs. The engine that started the process is waited for;
// others as long as they keep reading.
static void send_rest(void) {
  struct pollfd watch[MAX_CLIENTS];
  for (;;) {
    int waiting = 0, for_engine = 0;
    for (int i = 0; i < MAX_CLIENTS; i++) {
      struct client *c = clients + i;
      int owed = c->fd >= 0 && c->out_length > 0;
      watch[i] = (struct pollfd){owed ? c->fd : -1, POLLOUT, 0};
      waiting += owed, for_engine |= owed && c->control;
    }
    if (waiting == 0) return;
    struct timespec64 patience = {PATIENCE_SECONDS, 0};
    if (sys(__NR_ppoll, watch, MAX_CLIENTS, for_engine ? NULL : &patience, NULL, 8) == 0) return;
    for (int i = 0; i < MAX_CLIENTS; i++)
      if (watch[i].revents) client_flush(clients + i);
  }
}

// Runs the cleanup command and waits for it, so that the lock which the monitor holds outlasts it.
static void run_cleanup(const struct settings *s) {
  static const char *environment[] = {NULL};
  uint64_t none = 0;
#if defined(__x86_64__)
  long pid = sys(__NR_fork);
#else
  long pid = sys(__NR_clone, SIGCHLD, 0, 0, 0, 0);
#endif
  if (pid == 0) {
    sys(__NR_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
    sys(__NR_close_range, 3, ~0u, 0);
    sys(__NR_execve, s->cleanup[0], s->cleanup, environment);
    sys(__NR_exit_group, 127);
  }
  int status;
  while (sys(__NR_wait4, pid, &status, 0, NULL) == -EINTR) continue;
}

void monitor(const struct settings *s, struct streams *streams, struct child *child) {
  struct pollfd watch[WATCH_CLIENTS + MAX_CLIENTS];
  uint32_t pid = (uint32_t)child->pid;
  int cleaned = 0, needs_cleaning = s->cleanup[0] != NULL;
  log_open(&log, s->log_dir, s->log_name, (int64_t)s->log_max_size, s->log_max_files);
  record_start(s, child);
  clients_send(FRAME_STARTED, &pid, sizeof pid);
  while (!child->announced || (needs_cleaning && client_control() && !cleaned)) {
    if (wait_for_events(watch, s, streams, child) < 0) continue;
    cleaned |= handle_events(watch, s, streams, child);
    if (child->ended && !child->announced && drain(streams)) announce_end(s, child);
  }
  if (needs_cleaning && !cleaned) run_cleanup(s);
  send_rest();
  for (struct client *c = clients; c < clients + MAX_CLIENTS; c++) client_discard_input(c);
}
