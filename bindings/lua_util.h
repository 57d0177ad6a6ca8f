/* lua_util: helpers of all bindings: checks of arguments, failures as `nil, { kind, message }`,
 * integers and numbers without loss.
 *
 * Everything here may raise a Lua error, which longjmps: callers must own no C memory. `call` is
 * the function's name in scripts ("redis.call"), `what` the argument, `at` an absolute stack index.
 */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/slice.h"

/* Registry name of the metatable that lua_mark_list gives. */
#define LUA_LIST_TYPE "aggregator.list"
/* Above it, and below its negative, integers are pushed as strings. */
#define LUA_EXACT_INTEGER 9007199254740992LL
#define LUA_NUMBER_TEXT_CAP 40

/* ---- arguments ---------------------------------------------------------------------------- */

/* Raises "CALL: WHAT must be EXPECTED, got …" for the value at `at`. Never returns. */
int lua_bad_argument(lua_State *L, int at, const char *call, const char *what,
                     const char *expected);
/* A string, not a number; borrowed from the value at `at`. */
struct slice lua_check_text(lua_State *L, int at, const char *call, const char *what);
/* As a C string: not empty, without NUL. */
const char *lua_check_name(lua_State *L, int at, const char *call, const char *what);
void lua_check_table(lua_State *L, int at, const char *call, const char *what);
/* The length of the list at `at`. Raises unless its keys are 1 to n. */
int lua_check_list(lua_State *L, int at, const char *call, const char *what);
/* Raises for a key of the table at `at` that is not among `names`. */
void lua_check_fields(lua_State *L, int at, const char *call, const char *const *names,
                      size_t count);

/* table[name] for the table at `at`, borrowed from it. Absent: data NULL. */
struct slice lua_field_text(lua_State *L, int at, const char *call, const char *name,
                            bool required);

/* table.timeout_ms, at most the time left for the call under way. Raises while scripts are loading.
 */
int lua_field_timeout_ms(lua_State *L, int at, const char *call);

/* ---- values ------------------------------------------------------------------------------- */

/* A number if a double represents it exactly, else a string of digits. */
void lua_push_integer(lua_State *L, int64_t value);
/* A time, in microseconds since 1970, as lua_push_integer pushes it: digits from the year 2255 on.
 * False: another value, or not of the years 1 to 9999. */
bool lua_read_time(lua_State *L, int at, int64_t *time_us);
/* The shortest text that reads back as the same number; whole numbers without exponent; NaN and
 * infinity in Postgres' form. Returns text. */
const char *lua_format_number(double number, char text[LUA_NUMBER_TEXT_CAP]);
/* nil and { kind, message }. Returns 2. */
int lua_push_failure(lua_State *L, const struct err *err);
/* The table alone. */
void lua_push_failure_table(lua_State *L, const struct err *err);

/* Marks the table at the top as a list: json writes [] if it is empty. */
void lua_mark_list(lua_State *L);
/* Whether the table at `at` is marked as a list. */
bool lua_is_marked_list(lua_State *L, int at);

/* A zeroed userdata with `finish` as its __gc, set before the caller opens anything. */
void *lua_new_resource(lua_State *L, size_t bytes, lua_CFunction finish);

/* Pops the value at the top; sets the functions, with it as upvalue 1, in the table below. */
void lua_bind_functions(lua_State *L, const luaL_Reg *functions);

/* Why Postgres or JSON cannot store the text ("holds a NUL byte", …), or NULL. */
const char *lua_text_problem(struct slice text);
