/* lua_json: the json module, for the host and cjson. */
#pragma once

#include <lua.h>

/* No longer text is read or written. */
#define LUA_JSON_MAX_BYTES (16 * 1024 * 1024)

/* Replaces the value at the top by its JSON text, keys sorted: equal tables have equal texts.
 * Raises for a value without a JSON form, and above 16 MiB. */
void lua_json_push_text(lua_State *L);

/* json.encode(value) and json.decode(text) as scripts call them: Lua functions in C. */
int lua_json_encode(lua_State *L);
int lua_json_decode(lua_State *L);
