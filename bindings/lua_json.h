/* lua_json: what the host and cjson use of the json module. */
#ifndef AGG_BINDINGS_LUA_JSON_H
#define AGG_BINDINGS_LUA_JSON_H

#include <lua.h>

/* Puts the JSON text of the value at the top in its place, the keys of objects sorted: equal tables
 * have equal texts. Raises for what has no form in JSON, and for more than 16 MiB. */
void lua_json_push_text(lua_State *L);

/* json.encode(value) and json.decode(text) as scripts call them: Lua functions in C. */
int lua_json_encode(lua_State *L);
int lua_json_decode(lua_State *L);

#endif
