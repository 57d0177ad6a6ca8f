#include "lua_modules.h"

#include <string.h>

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
    {"url", luaopen_agg_url},
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
