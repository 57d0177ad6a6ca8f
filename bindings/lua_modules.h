/* lua_modules: the modules that scripts can `require`. */
#pragma once

#include <lauxlib.h>
#include <lua.h>

/* Name and opener of each module. Ends with a NULL name. */
extern const luaL_Reg lua_modules[];
/* The opener of a module, or NULL. */
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
int luaopen_agg_url(lua_State *L);
int luaopen_agg_cjson(lua_State *L);
int luaopen_agg_cjson_safe(lua_State *L);
