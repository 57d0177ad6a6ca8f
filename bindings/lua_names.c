#include "lua_names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES 512

struct names {
    const char *items[MAX_NAMES]; /* borrowed from the table */
    size_t count;
};

static int lua_names_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that the same mistake gives the same error. */
static void lua_names_collect(lua_State *L, int at, struct names *names) {
    at = at < 0 ? lua_gettop(L) + at + 1 : at;
    names->count = 0;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        bool readable = lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) != LUA_TSTRING;
        if (readable && names->count < MAX_NAMES) {
            names->items[names->count++] = lua_tostring(L, -2);
        }
    }
    qsort(names->items, names->count, sizeof *names->items, lua_names_compare);
}

const char *lua_names_hint(lua_State *L, int at, const char *word, char hint[NEAREST_HINT_CAP]) {
    struct names names;
    lua_names_collect(L, at, &names);
    return nearest_hint(hint, word, names.items, names.count);
}

const char *lua_names_nearest(lua_State *L, int at, const char *word) {
    struct names names;
    lua_names_collect(L, at, &names);
    return nearest_name(word, names.items, names.count);
}

const char *lua_names_unknown(lua_State *L, int at, const char *const *names, size_t count) {
    const char *least = NULL;
    at = at < 0 ? lua_gettop(L) + at + 1 : at;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool known = false;
        for (size_t i = 0; i < count && !known; i++) {
            known = strcmp(names[i], name) == 0;
        }
        if (!known && (!least || strcmp(name, least) < 0)) {
            least = name;
        }
    }
    return least;
}

/* __index; upvalues: the set, owner, kind, " (PLACE)" */
static int lua_names_refuse(lua_State *L) {
    char hint[NEAREST_HINT_CAP];
    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }
    const char *name = lua_tostring(L, 2), *owner = lua_tostring(L, lua_upvalueindex(2));
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_type(L, -1) == LUA_TSTRING) {
        return luaL_error(L, "%s: %s\"%s\" %s%s", owner, lua_tostring(L, lua_upvalueindex(3)), name,
                          lua_tostring(L, -1), lua_tostring(L, lua_upvalueindex(4)));
    }
    if (!lua_isnil(L, -1)) {
        return 0; /* a known name without a value */
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    return luaL_error(L, "%s has no %s\"%s\": %s%s", owner, lua_tostring(L, lua_upvalueindex(3)),
                      name, lua_names_hint(L, lua_gettop(L), name, hint),
                      lua_tostring(L, lua_upvalueindex(4)));
}

void lua_names_push_strict(lua_State *L, const char *owner, const char *kind, const char *place) {
    lua_pushstring(L, owner);
    lua_pushstring(L, kind);
    lua_pushfstring(L, place ? " (%s)" : "", place);
    lua_pushcclosure(L, lua_names_refuse, 4);
    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "read-only"); /* shared by many tables: not for scripts to change */
    lua_setfield(L, -2, "__metatable");
}
