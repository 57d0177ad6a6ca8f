/* lua_modules: the registry of the bindings that scripts `require`, and what they share of the
 * state they run in. */
#ifndef AGG_BINDINGS_LUA_MODULES_H
#define AGG_BINDINGS_LUA_MODULES_H

#include <lauxlib.h>
#include <lua.h>

#include "../host/base/err.h"

struct bundle;
struct config;
struct metric_scope;

/* Every binding: the name that scripts use, and its opener. Ends with a NULL name. */
extern const luaL_Reg lua_modules[];
/* The opener of a binding by the name that scripts use, or NULL. */
lua_CFunction lua_modules_find(const char *name);

/* What bindings need; kept in the state's registry, borrowed. */
void lua_modules_set_config(lua_State *L, const struct config *config, const struct bundle *bundle);
const struct config *lua_modules_config(lua_State *L);
const struct bundle *lua_modules_bundle(lua_State *L);

/* Where the metrics that scripts declare belong. */
struct metric_scope *lua_modules_metrics(lua_State *L);

/* How long a binding may wait: what the script's call under way has left, at least 0. Raises while
 * scripts are being loaded, when no outside system may be touched. `call` names the function. */
int lua_modules_remaining_ms(lua_State *L, const char *call);
/* False with ERR_UNAVAILABLE in a muted state, where nothing may be asked of an outside system.
 * Notes that the event rests on the answer of this binding, a constant text. */
bool lua_modules_may_ask(lua_State *L, const char *binding, struct err *err);
/* True where scripts run without effect. */
bool lua_modules_is_muted(lua_State *L);
/* Raises, in the name of `call`, where a handler or a reaction is called: they publish, and produce
 * no records. */
void lua_modules_check_may_produce(lua_State *L, const char *call);
/* What was just read of this binding is not the same at another time. */
void lua_modules_note_chance(lua_State *L, const char *binding);
/* A failure is handed to the script. */
void lua_modules_note_failure(lua_State *L, const struct err *err);
/* The longest time that a call of a script may take, by the configuration. */
int lua_modules_longest_call_ms(lua_State *L);

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
