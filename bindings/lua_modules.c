#include "lua_modules.h"

#include <string.h>

#include "../host/config/config.h"
#include "../host/script/advice.h"
#include "../host/script/script_private.h"

const luaL_Reg lua_modules[] = {
    {"pg", luaopen_agg_pg},
    {"redis", luaopen_agg_redis},
    {"kafka", luaopen_agg_kafka},
    {"http", luaopen_agg_http},
    {"json", luaopen_agg_json},
    {"metrics", luaopen_agg_metrics},
    {"log", luaopen_agg_log},
    {"clock", luaopen_agg_clock},
    {"uuid", luaopen_agg_uuid},
    {"cjson", luaopen_agg_cjson},
    {"cjson.safe", luaopen_agg_cjson_safe},
    {NULL, NULL},
};

lua_CFunction lua_modules_find(const char *name) {
    const luaL_Reg *module = lua_modules;
    while (module->name && strcmp(module->name, name) != 0) {
        module++;
    }
    return module->func;
}

void lua_modules_set_config(lua_State *L, const struct config *config,
                            const struct bundle *bundle) {
    lua_pushlightuserdata(L, (void *)config);
    lua_setfield(L, LUA_REGISTRYINDEX, "aggregator.config");
    lua_pushlightuserdata(L, (void *)bundle);
    lua_setfield(L, LUA_REGISTRYINDEX, "aggregator.bundle");
}

static const void *from_registry(lua_State *L, const char *key) {
    lua_getfield(L, LUA_REGISTRYINDEX, key);
    const void *value = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return value;
}

const struct config *lua_modules_config(lua_State *L) {
    return from_registry(L, "aggregator.config");
}

const struct bundle *lua_modules_bundle(lua_State *L) {
    return from_registry(L, "aggregator.bundle");
}

struct metric_scope *lua_modules_metrics(lua_State *L) {
    return sandbox_instance(L)->generation->metrics;
}

int lua_modules_remaining_ms(lua_State *L, const char *call) {
    int left_ms = script_remaining_ms(L);
    if (left_ms < 0) {
        luaL_error(L,
                   "%s: scripts are being loaded, and may touch no outside system before a "
                   "handler or route is called",
                   call);
    }
    return left_ms;
}

bool lua_modules_may_ask(lua_State *L, const char *binding, struct err *err) {
    const char *muted = script_muted(L);
    script_note_question(L, binding);
    return !muted || err_set(err, ERR_UNAVAILABLE, "unavailable: %s", muted);
}

bool lua_modules_is_muted(lua_State *L) {
    return script_muted(L) != NULL;
}

void lua_modules_check_may_produce(lua_State *L, const char *call) {
    if (sandbox_instance(L)->merge) {
        luaL_error(L, "%s: " ADVICE_PRODUCE_IN_HANDLER, call);
    }
    if (script_muted(L)) {
        luaL_error(L, "%s: " ADVICE_PRODUCE_IN_REACTION, call);
    }
}

void lua_modules_note_chance(lua_State *L, const char *binding) {
    script_note_question(L, binding);
}

void lua_modules_note_failure(lua_State *L, const struct err *err) {
    script_note_failure(L, err);
}

int lua_modules_longest_call_ms(lua_State *L) {
    const struct config *config = lua_modules_config(L);
    return config->scripts.handler_timeout_ms > config->scripts.route_timeout_ms
               ? config->scripts.handler_timeout_ms
               : config->scripts.route_timeout_ms;
}
