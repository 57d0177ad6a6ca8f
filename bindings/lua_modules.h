/* lua_modules: the bindings that scripts `require`. */
#ifndef AGG_BINDINGS_LUA_MODULES_H
#define AGG_BINDINGS_LUA_MODULES_H

#include <lauxlib.h>
#include <lua.h>

/* Every binding: the name that scripts use, and its opener. Ends with a NULL name. */
extern const luaL_Reg lua_modules[];
/* The opener of a binding by the name that scripts use, or NULL. */
lua_CFunction lua_modules_find(const char *name);

int luaopen_agg_pg(lua_State *L);
int luaopen_agg_redis(lua_State *L);
int luaopen_agg_kafka(lua_State *L);
int luaopen_agg_http(lua_State *L);
int luaopen_agg_json(lua_State *L);
int luaopen_agg_metrics(lua_State *L);
int luaopen_agg_log(lua_State *L);
int luaopen_agg_clock(lua_State *L);
int luaopen_agg_uuid(lua_State *L);
int luaopen_agg_cjson(lua_State *L);
int luaopen_agg_cjson_safe(lua_State *L);

#endif
