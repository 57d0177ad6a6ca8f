/* lua_util: what every binding does alike: arguments checked by name, failures of the world as
 * `nil, { kind, message }`, integers and numbers without loss.
 *
 * Everything here may raise a Lua error, which longjmps: a caller holds nothing that only C would
 * free. `call` is the function's name as scripts say it ("redis.call"), `what` the argument; `at`
 * is an absolute place in the stack. */
#ifndef AGG_BINDINGS_LUA_UTIL_H
#define AGG_BINDINGS_LUA_UTIL_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/slice.h"

/* Registry name of the metatable that lua_mark_list gives. */
#define LUA_LIST_TYPE "aggregator.list"
/* An integer that a double holds exactly lies between these; text carries the others. */
#define LUA_EXACT_INTEGER 9007199254740992LL
#define LUA_NUMBER_TEXT_CAP 40

/* ---- arguments ---------------------------------------------------------------------------- */

/* Raises "CALL: WHAT must be EXPECTED, got …" for the value at `at`. Never returns. */
int lua_bad_argument(lua_State *L, int at, const char *call, const char *what,
                     const char *expected);
/* A string, not a number; borrowed from the value at `at`. */
struct slice lua_check_text(lua_State *L, int at, const char *call, const char *what);
/* Likewise, without NUL: as a C string. */
const char *lua_check_name(lua_State *L, int at, const char *call, const char *what);
void lua_check_table(lua_State *L, int at, const char *call, const char *what);
/* The length of the list at `at`: a table with the keys 1 to n and no other. */
int lua_check_list(lua_State *L, int at, const char *call, const char *what);
/* Raises for keys of the table at `at` that are not among `names`, with the nearest of them. */
void lua_check_fields(lua_State *L, int at, const char *call, const char *const *names,
                      size_t count);

/* table[name] for the table at `at`, borrowed from it. An absent one has data NULL. */
struct slice lua_field_text(lua_State *L, int at, const char *call, const char *name,
                            bool required);
/* table[name], a whole number from min to max; `absent` if it is not there. */
int lua_field_integer(lua_State *L, int at, const char *call, const char *name, int min, int max,
                      int absent);

/* ---- values ------------------------------------------------------------------------------- */

/* A number where a double holds it exactly, else a string of digits. */
void lua_push_integer(lua_State *L, int64_t value);
/* The shortest text that reads back as the same number; whole ones without exponent. NaN and
 * infinity come as Postgres spells them. Returns text. */
const char *lua_format_number(double number, char text[LUA_NUMBER_TEXT_CAP]);
/* nil and { kind, message }. Returns 2. */
int lua_push_failure(lua_State *L, const struct err *err);
/* The table alone. */
void lua_push_failure_table(lua_State *L, const struct err *err);

/* Marks the table at the top as a list: json writes it as [] even when it is empty. */
void lua_mark_list(lua_State *L);
/* Whether the table at `at` is marked so: a decoded list is, a decoded object is not. */
bool lua_is_marked_list(lua_State *L, int at);

/* A zeroed userdata whose `finish` is its __gc, in place before anything is opened in it. */
void *lua_new_resource(lua_State *L, size_t bytes, lua_CFunction finish);

/* Pops the value at the top and puts functions with it as their upvalue 1 into the table below. */
void lua_bind_functions(lua_State *L, const luaL_Reg *functions);

/* Why the text cannot be a text of Postgres or JSON ("holds a NUL byte", …), or NULL. */
const char *lua_text_problem(struct slice text);

#endif
