#include "sys.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

SYSCALL(pidfd_open) {
  pid_t pid = arg_int(call);
  uint32_t flags = arg_u32(call);
  return call->bad ? NULL : call_descriptor(call, (int)syscall(SYS_pidfd_open, pid, flags));
}

SYSCALL(pidfd_send_signal) {
  int pidfd = arg_int(call), signal = arg_int(call);
  return call->bad ? NULL : call_void(call, syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

SYSCALL(waitid) {
  int type = arg_int(call), id = arg_int(call), options = arg_int(call), result;
  siginfo_t info = {0};
  napi_value object = NULL;
  if (call->bad) return NULL;
  do
    result = waitid((idtype_t)type, (id_t)id, &info, options);
  while (result < 0 && errno == EINTR);
  if (result < 0 || info.si_pid == 0) return call_void(call, result);
  if (napi_create_object(call->env, &object) != napi_ok) return NULL;
  set_number(call->env, object, "pid", info.si_pid);
  set_number(call->env, object, "code", info.si_code);
  set_number(call->env, object, "status", info.si_status);
  return object;
}

SYSCALL(prctl) {
  int option = arg_int(call);
  unsigned long arguments[4];
  for (int i = 0; i < 4; i++)
    arguments[i] = (unsigned long)arg_i64(call);
  if (call->bad) return NULL;
  return call_number(call, prctl(option, arguments[0], arguments[1], arguments[2], arguments[3]));
}
