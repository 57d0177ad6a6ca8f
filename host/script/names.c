/* names: the sets of queries and modules that scripts may name. */
#include "bindings/lua_modules.h"
#include "script_private.h"

static void names_add(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
}

void names_push_queries(lua_State *L) {
    const struct bundle *bundle = &sandbox_instance(L)->generation->bundle;
    lua_newtable(L);
    for (size_t i = 0; i < bundle->count; i++) {
        if (bundle_query_name(&bundle->files[i])) {
            names_add(L, bundle_query_name(&bundle->files[i]));
        }
    }
}

void names_push_modules(lua_State *L) {
    const struct bundle *bundle = &sandbox_instance(L)->generation->bundle;
    lua_newtable(L);
    for (const luaL_Reg *module = lua_modules; module->name; module++) {
        names_add(L, module->name);
    }
    for (size_t i = 0; i < bundle->count; i++) {
        if (bundle_is_lua(&bundle->files[i])) {
            const char *name = luaL_gsub(L, bundle->files[i].name, "/", ".");
            lua_pushboolean(L, 1);
            lua_setfield(L, -3, name);
            lua_pop(L, 1);
        }
    }
}
