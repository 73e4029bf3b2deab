#include "sys.h"

NAPI_MODULE_INIT() {
#define DESCRIBE(function) {#function, NULL, sys_##function, NULL, NULL, NULL, napi_enumerable, NULL},
  const napi_property_descriptor functions[] = {SYS_FUNCTIONS(DESCRIBE)};
#undef DESCRIBE
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
