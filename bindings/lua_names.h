/* lua_names: errors for unknown names in scripts, with the nearest known name. Everything here may
 * raise. */
#pragma once

#include <lauxlib.h>
#include <lua.h>

#include "base/nearest.h"

/* nearest_hint among the keys of the table at `at` that are strings. */
const char *lua_names_hint(lua_State *L, int at, const char *word, char hint[NEAREST_HINT_CAP]);
/* The nearest name, borrowed from the table; NULL: none is near. */
const char *lua_names_nearest(lua_State *L, int at, const char *word);

/* The first key of the table at `at`, in order, that is not among the names: the same mistake gives
 * the same error. "?": a key that is not a string. NULL: none. */
const char *lua_names_unknown(lua_State *L, int at, const char *const *names, size_t count);

/* Replaces the set at the top, { name = true or why it cannot be read }, by a metatable that raises
 * when a script reads another string key: "OWNER has no KINDx: did you mean …? (PLACE)". KIND is ""
 * or ends in a blank; PLACE is the place to look at, or NULL. */
void lua_names_push_strict(lua_State *L, const char *owner, const char *kind, const char *place);
