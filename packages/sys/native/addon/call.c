#include "sys.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

napi_value call_run(napi_env env, napi_callback_info info, const char *name, napi_value (*body)(struct call *)) {
  struct call call = {.env = env, .name = name};
  size_t argc = sizeof call.argv / sizeof *call.argv;
  napi_get_cb_info(env, info, &argc, call.argv, NULL, NULL);
  napi_value result = body(&call);
  for (unsigned i = 0; i < call.string_count; i++) free(call.strings[i]);
  return call.bad ? NULL : result;
}

napi_value call_type_error(struct call *call, const char *expected) {
  char message[128];
  if (!call->bad) {
    snprintf(message, sizeof message, "%s: argument %u must be %s", call->name, call->next, expected);
    napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", message);
  }
  call->bad = true;
  return NULL;
}

static napi_value next_argument(struct call *call) { return call->argv[call->next++]; }

static bool integer_value(napi_env env, napi_value value, int64_t *result) {
  const double largest = 9007199254740991.0; /* Number.MAX_SAFE_INTEGER */
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  if (!(number >= -largest && number <= largest) || number != (double)(int64_t)number) return false;
  *result = (int64_t)number;
  return true;
}

static int64_t integer_between(struct call *call, int64_t least, int64_t most, const char *expected) {
  int64_t number = 0;
  napi_value value = next_argument(call);
  if (call->bad) return 0;
  if (!integer_value(call->env, value, &number) || number < least || number > most) {
    call_type_error(call, expected);
    return 0;
  }
  return number;
}

int arg_int(struct call *call) { return (int)integer_between(call, INT_MIN, INT_MAX, "a 32-bit integer"); }

uint32_t arg_u32(struct call *call) { return (uint32_t)integer_between(call, INT_MIN, UINT_MAX, "a 32-bit integer"); }

int64_t arg_i64(struct call *call) { return integer_between(call, INT64_MIN, INT64_MAX, "an integer"); }

int64_t arg_bigint(struct call *call) {
  int64_t number = 0;
  bool lossless = false;
  napi_value value = next_argument(call);
  if (call->bad) return 0;
  if (napi_get_value_bigint_int64(call->env, value, &number, &lossless) != napi_ok || !lossless)
    call_type_error(call, "a bigint of 64 bits");
  return number;
}

bool arg_is_number(struct call *call) {
  napi_valuetype type = napi_undefined;
  napi_typeof(call->env, call->argv[call->next], &type);
  return type == napi_number;
}

/*
 * UTF-8 of UTF-16, at most three bytes for a unit. A lone surrogate U+DC80 to U+DCFF stands for one byte that is not
 * UTF-8, as in a name that was read from an archive; any other is written as U+FFFD.
 */
static size_t encode_name(const char16_t *units, size_t count, char *bytes) {
  char *to = bytes;
  for (size_t i = 0; i < count; i++) {
    uint32_t unit = units[i];
    if (unit >= 0xD800 && unit < 0xDC00 && i + 1 < count && units[i + 1] >= 0xDC00 && units[i + 1] < 0xE000) {
      unit = 0x10000 + ((unit - 0xD800) << 10) + (units[++i] - 0xDC00);
    } else if (unit >= 0xDC80 && unit <= 0xDCFF) {
      *to++ = (char)(unit & 0xFF);
      continue;
    } else if (unit >= 0xD800 && unit < 0xE000) {
      unit = 0xFFFD;
    }
    if (unit < 0x80) {
      *to++ = (char)unit;
      continue;
    }
    int more = unit < 0x800 ? 1 : unit < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(lead[more] | unit >> 6 * more);
    while (more-- > 0) *to++ = (char)(0x80 | (unit >> 6 * more & 0x3F));
  }
  *to = '\0';
  return (size_t)(to - bytes);
}

/* A NUL inside would silently shorten the name that the kernel sees, so it is refused. */
static char *copy_string(napi_env env, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf16(env, value, NULL, 0, &length) != napi_ok) return NULL;
  cleanup_free char16_t *units = malloc((length + 1) * sizeof *units);
  char *string = malloc(length * 3 + 1);
  if (units != NULL && string != NULL &&
      napi_get_value_string_utf16(env, value, units, length + 1, &length) == napi_ok) {
    length = encode_name(units, length, string);
    if (strlen(string) == length) return string;
  }
  free(string);
  return NULL;
}

/* Bytes of the UTF-8 character at `byte`, or 0: no overlong form, no surrogate, nothing past U+10FFFF. */
static unsigned character_length(const uint8_t *byte, size_t left) {
  unsigned lead = byte[0], length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4 || length > left) return 0;
  if (byte[1] < (lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80)) return 0;
  if (byte[1] > (lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF)) return 0;
  for (unsigned i = 2; i < length; i++)
    if ((byte[i] & 0xC0) != 0x80) return 0;
  return length;
}

napi_value name_value(napi_env env, const char *name, size_t length) {
  const uint8_t *bytes = (const uint8_t *)name;
  cleanup_free char16_t *units = malloc((length + 1) * sizeof *units);
  napi_value value = NULL;
  size_t count = 0;
  if (units == NULL) return NULL;
  for (size_t at = 0; at < length;) {
    unsigned size = character_length(bytes + at, length - at);
    uint32_t code = size == 0 ? 0xDC00u | bytes[at] : size == 1 ? bytes[at] : bytes[at] & (0xFFu >> (size + 1));
    for (unsigned i = 1; i < size; i++) code = code << 6 | (bytes[at + i] & 0x3F);
    at += size == 0 ? 1 : size;
    if (code >= 0x10000) units[count++] = (char16_t)(0xD7C0 + (code >> 10));
    units[count++] = (char16_t)(code >= 0x10000 ? 0xDC00 | (code & 0x3FF) : code);
  }
  napi_create_string_utf16(env, units, count, &value);
  return value;
}

const char *arg_string(struct call *call) {
  napi_value value = next_argument(call);
  if (call->bad) return NULL;
  char *string = copy_string(call->env, value);
  if (string == NULL) {
    call_type_error(call, "a string without NUL");
    return NULL;
  }
  return call->strings[call->string_count++] = string;
}

const char *arg_nullable_string(struct call *call) {
  napi_valuetype type = napi_undefined;
  napi_typeof(call->env, call->argv[call->next], &type);
  if (type != napi_null) return arg_string(call);
  call->next++;
  return NULL;
}

const char *arg_path(struct call *call) {
  const char *path = arg_string(call);
  if (path != NULL && *path != '\0' && call->path == NULL) call->path = path;
  return path;
}

static bool bytes_value(napi_env env, napi_value value, struct bytes *bytes) {
  napi_typedarray_type type;
  bool is_array = false;
  return napi_is_typedarray(env, value, &is_array) == napi_ok && is_array &&
         napi_get_typedarray_info(env, value, &type, &bytes->length, (void **)&bytes->data, NULL, NULL) == napi_ok &&
         type == napi_uint8_array;
}

struct bytes arg_bytes(struct call *call) {
  napi_value value = next_argument(call);
  struct bytes bytes = {NULL, 0};
  if (!call->bad && !bytes_value(call->env, value, &bytes)) call_type_error(call, "a Uint8Array");
  return bytes;
}

static bool array_length(struct call *call, napi_value array, uint32_t *length) {
  bool is_array = false;
  if (call->bad) return false;
  if (napi_is_array(call->env, array, &is_array) == napi_ok && is_array &&
      napi_get_array_length(call->env, array, length) == napi_ok)
    return true;
  call_type_error(call, "an array");
  return false;
}

uint32_t arg_int_list(struct call *call, int **list, uint32_t max) {
  napi_value array = next_argument(call), item;
  uint32_t length = 0;
  int64_t number;
  if (!array_length(call, array, &length)) return 0;
  if (length > max) {
    call_type_error(call, "a shorter array");
    return 0;
  }
  *list = calloc(length + 1, sizeof **list);
  for (uint32_t i = 0; *list != NULL && i < length; i++) {
    if (napi_get_element(call->env, array, i, &item) != napi_ok || !integer_value(call->env, item, &number) ||
        number < INT_MIN || number > INT_MAX) {
      call_type_error(call, "an array of descriptors");
      return 0;
    }
    (*list)[i] = (int)number;
  }
  if (*list == NULL) call_type_error(call, "an array that fits in memory");
  return length;
}

char **arg_string_list(struct call *call) {
  napi_value array = next_argument(call), item;
  uint32_t length = 0;
  if (!array_length(call, array, &length)) return NULL;
  char **list = calloc((size_t)length + 1, sizeof *list);
  for (uint32_t i = 0; list != NULL && i < length; i++) {
    if (napi_get_element(call->env, array, i, &item) == napi_ok) list[i] = copy_string(call->env, item);
    if (list[i] == NULL) {
      call_type_error(call, "an array of strings without NUL");
      break;
    }
  }
  if (list == NULL) call_type_error(call, "an array that fits in memory");
  return list;
}

uint32_t arg_bytes_list(struct call *call, struct bytes **list, napi_value *held) {
  napi_value array = next_argument(call), copy = NULL, item;
  uint32_t length = 0;
  if (!array_length(call, array, &length)) return 0;
  *list = calloc((size_t)length + 1, sizeof **list);
  if (*list == NULL || napi_create_array_with_length(call->env, (size_t)length + 1, &copy) != napi_ok ||
      napi_set_element(call->env, copy, length, *held) != napi_ok) {
    call_type_error(call, "an array that fits in memory");
    return 0;
  }
  *held = copy;
  for (uint32_t i = 0; i < length; i++) {
    if (napi_get_element(call->env, array, i, &item) != napi_ok || !bytes_value(call->env, item, &(*list)[i]) ||
        napi_set_element(call->env, copy, i, item) != napi_ok) {
      call_type_error(call, "an array of Uint8Arrays");
      return 0;
    }
  }
  return length;
}

void set_property(napi_env env, napi_value object, const char *name, napi_value value) {
  if (value != NULL) napi_set_named_property(env, object, name, value);
}

void set_number(napi_env env, napi_value object, const char *name, double value) {
  napi_value number = NULL;
  napi_create_double(env, value, &number);
  set_property(env, object, name, number);
}

napi_value int_array(napi_env env, const int *list, size_t count) {
  napi_value array, item;
  if (napi_create_array_with_length(env, count, &array) != napi_ok) return NULL;
  for (size_t i = 0; i < count; i++) {
    napi_create_int32(env, list[i], &item);
    if (napi_set_element(env, array, (uint32_t)i, item) != napi_ok) return NULL;
  }
  return array;
}

napi_value sys_error(napi_env env, const char *syscall, const char *path, int error, const char *detail) {
  char unknown[16];
  const char *code = strerrorname_np(error), *text = strerrordesc_np(error);
  cleanup_free char *message = NULL;
  napi_value object = NULL, value = NULL;

  if (code == NULL) snprintf(unknown, sizeof unknown, "E%d", error);
  if (code == NULL) code = unknown;
  if (text == NULL) text = "unknown error";
  if (asprintf(&message, "%s%s%s: %s: %c%s%s%s", syscall, path ? " " : "", path ? path : "", code,
               islower((unsigned char)text[1]) ? tolower((unsigned char)*text) : *text, text + 1, detail ? ": " : "",
               detail ? detail : "") < 0) {
    message = NULL;
  }
  napi_create_string_utf8(env, message ? message : code, NAPI_AUTO_LENGTH, &value);
  if (napi_create_error(env, NULL, value, &object) != napi_ok) return NULL;
  napi_create_string_utf8(env, "SysError", NAPI_AUTO_LENGTH, &value);
  const napi_property_descriptor name = {"name", NULL, NULL, NULL, NULL, value, napi_writable | napi_configurable,
                                         NULL};
  napi_define_properties(env, object, 1, &name);
  napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &value);
  set_property(env, object, "code", value);
  set_number(env, object, "errno", error);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &value);
  set_property(env, object, "syscall", value);
  if (path != NULL && napi_create_string_utf8(env, path, NAPI_AUTO_LENGTH, &value) == napi_ok)
    set_property(env, object, "path", value);
  return object;
}

napi_value call_fail(struct call *call, int error, const char *detail) {
  napi_value object = sys_error(call->env, call->name, call->path, error, detail);
  if (object != NULL) napi_throw(call->env, object);
  return NULL;
}

napi_value call_void(struct call *call, long result) {
  napi_value value = NULL;
  if (result < 0) return call_fail(call, errno, NULL);
  napi_get_undefined(call->env, &value);
  return value;
}

napi_value call_number(struct call *call, long result) {
  napi_value value = NULL;
  if (result < 0) return call_fail(call, errno, NULL);
  napi_create_int64(call->env, result, &value);
  return value;
}

napi_value call_descriptor(struct call *call, int fd) {
  napi_value value = call_number(call, fd);
  if (value == NULL && fd >= 0) close(fd);
  return value;
}

napi_value call_buffer(struct call *call, const void *data, size_t length) {
  napi_value value = NULL;
  napi_create_buffer_copy(call->env, length, data, NULL, &value);
  return value;
}
