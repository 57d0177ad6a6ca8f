/* testing.reactions: gives rows to production's reactions. Documented in
 * docs/types/testing/reactions.lua. */
#include "bindings/lua_util.h"
#include "script/message.h"
#include "spec_private.h"

#define ARENA_CHUNK_BYTES 4096

struct reaction_spec {
    struct arena *arena;
};

static int spec_reactions_close_reaction_spec(lua_State *L) {
    struct reaction_spec *spec = lua_touserdata(L, 1);
    if (spec->arena) {
        arena_destroy(spec->arena);
    }
    spec->arena = NULL;
    return 0;
}

/* Makes the row the only one of the query's rows. */
static void spec_reactions_give_row(lua_State *L, struct script_instance *instance) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, instance->rows_ref);
    instance->rows_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* run(name, row) -> list of messages, or nil and why the reaction failed */
static int spec_reactions_lua_run_reaction(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    const struct script_generation *generation = instance->generation;
    struct script_published published;
    struct err err = {0};
    size_t reaction = spec_find_script(L, "reaction", luaL_checkstring(L, 1), generation->reactions,
                                       generation->reaction_count, sizeof *generation->reactions);
    luaL_checktype(L, 2, LUA_TTABLE);
    spec_reactions_give_row(L, instance);
    struct reaction_spec *spec =
        lua_new_resource(L, sizeof *spec, spec_reactions_close_reaction_spec);
    spec->arena = arena_create(ARENA_CHUNK_BYTES);
    if (script_react(instance, reaction, 0, spec->arena, &published, &err) != SCRIPT_OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    spec_push_messages(L, published.messages, published.count);
    return 1;
}

void spec_reactions_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"run", spec_reactions_lua_run_reaction}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}
