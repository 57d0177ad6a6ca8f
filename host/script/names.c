/* names: what scripts may name in this state: queries and modules. */
#include "bindings/lua_modules.h"
#include "script_private.h"

#define QUERIES "queries/"

static void names_add(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
}

void names_push_queries(lua_State *L) {
    const struct bundle *bundle = &sandbox_instance(L)->generation->bundle;
    lua_newtable(L);
    for (size_t i = 0; i < bundle->count; i++) {
        if (strncmp(bundle->files[i].name, QUERIES, sizeof QUERIES - 1) == 0) {
            names_add(L, bundle->files[i].name + sizeof QUERIES - 1);
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
        if (strncmp(bundle->files[i].name, QUERIES, sizeof QUERIES - 1) != 0) {
            const char *name = luaL_gsub(L, bundle->files[i].name, "/", ".");
            lua_pushboolean(L, 1);
            lua_setfield(L, -3, name);
            lua_pop(L, 1);
        }
    }
}
