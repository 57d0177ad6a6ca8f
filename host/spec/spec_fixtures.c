/* testing.fixtures: files of spec/fixtures, for specs, which have no io. testing.sources: the
 * sources of the generation under test. Documented in docs/types/testing. */
#include <fcntl.h>

#include "base/regular_file.h"
#include "bindings/lua_modules.h"
#include "bindings/lua_names.h"
#include "spec_private.h"

#define ROOT "spec/fixtures/"
#define FIXTURE_MAX_BYTES (64UL * 1024 * 1024)

static int spec_fixtures_lua_read(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    luaL_argcheck(L, name[0] != '/' && !strstr(name, ".."), 1, "takes a path below " ROOT);
    const char *path = lua_pushfstring(L, ROOT "%s", name);
    struct buffer text = {0};
    struct err err = {0};
    if (!regular_file_read(AT_FDCWD, path, path, FIXTURE_MAX_BYTES, &text, &err)) {
        buffer_free(&text);
        return luaL_error(L, "%s", err.text);
    }
    lua_pushlstring(L, text.data, text.len);
    buffer_free(&text);
    return 1;
}

static int spec_fixtures_lua_lines(lua_State *L) {
    size_t len;
    int count = 0;
    spec_fixtures_lua_read(L);
    const char *at = lua_tolstring(L, -1, &len), *end = at + len;
    lua_newtable(L);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop > at) {
            lua_pushlstring(L, at, (size_t)(stop - at));
            lua_rawseti(L, -2, ++count);
        }
        at = stop + 1;
    }
    return 1;
}

/* json.decode that raises. */
static int spec_fixtures_lua_decode(lua_State *L) {
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    spec_call_json(L, "decode");
    if (!lua_isnil(L, -1)) {
        lua_getfield(L, -1, "message");
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    return 1;
}

static int spec_fixtures_lua_load_value(lua_State *L) {
    spec_fixtures_lua_read(L);
    lua_replace(L, 1);
    return spec_fixtures_lua_decode(L);
}

void spec_fixtures_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"read", spec_fixtures_lua_read},
                                         {"lines", spec_fixtures_lua_lines},
                                         {"decode", spec_fixtures_lua_decode},
                                         {"load", spec_fixtures_lua_load_value},
                                         {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}

static int spec_fixtures_lua_query(lua_State *L) {
    const char *name = lua_pushfstring(L, "queries/%s", luaL_checkstring(L, 1));
    const struct bundle_file *file = bundle_find(&sandbox_instance(L)->generation->bundle, name);
    if (file) {
        lua_pushlstring(L, file->text, file->len);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int spec_fixtures_lua_binding(lua_State *L) {
    lua_CFunction open = lua_modules_find(luaL_checkstring(L, 1));
    lua_pushnil(L);
    if (open) {
        lua_pushcfunction(L, open);
        lua_call(L, 0, 1);
    }
    return 1;
}

static int spec_fixtures_lua_hint(lua_State *L) {
    char hint[NEAREST_HINT_CAP];
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushstring(L, lua_names_hint(L, 2, word, hint));
    return 1;
}

static int spec_fixtures_lua_queries(lua_State *L) {
    names_push_queries(L);
    return 1;
}

size_t spec_find_script(lua_State *L, const char *kind, const char *name, const void *scripts,
                        size_t count, size_t size) {
    char hint[NEAREST_HINT_CAP];
    int found = script_find_named(scripts, count, size, name);
    if (found >= 0) {
        return (size_t)found;
    }
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, *(const char *const *)(const void *)((const char *)scripts + i * size));
    }
    luaL_error(L, "no %s \"%s\": %s (it would be scripts/%s.lua)", kind, name,
               lua_names_hint(L, -1, name, hint), name);
    return 0;
}

void spec_sources_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"query", spec_fixtures_lua_query},
                                         {"binding", spec_fixtures_lua_binding},
                                         {"hint", spec_fixtures_lua_hint},
                                         {"queries", spec_fixtures_lua_queries},
                                         {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}
