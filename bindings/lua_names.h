/* lua_names: names that scripts say: one that is not there is refused with the nearest that is.
 * Everything here may raise, and holds nothing that only C would free. */
#ifndef AGG_BINDINGS_LUA_NAMES_H
#define AGG_BINDINGS_LUA_NAMES_H

#include <lauxlib.h>
#include <lua.h>

#include "base/nearest.h"

/* nearest_hint among the keys of the table at `at` that are strings. */
const char *lua_names_hint(lua_State *L, int at, const char *word, char hint[NEAREST_HINT_CAP]);
/* Likewise, but the nearest alone, borrowed from the table; NULL: none is near. */
const char *lua_names_nearest(lua_State *L, int at, const char *word);

/* The key of the table at `at` that is not among the names, the least one where there are more: the
 * same mistake is always answered alike. "?": one that is no string. NULL: all are. */
const char *lua_names_unknown(lua_State *L, int at, const char *const *names, size_t count);

/* Replaces the set at the top, { name = true or why it cannot be read }, by the metatable of tables
 * in which no other string key may be read: "OWNER has no KINDx: did you mean …? (PLACE)". KIND is
 * "" or ends in a blank; PLACE says where to look, and may be NULL. */
void lua_names_push_strict(lua_State *L, const char *owner, const char *kind, const char *place);

#endif
