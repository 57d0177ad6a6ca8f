#include "lint.h"

#include <luajit.h>
#include <lualib.h>

#include "lint.lua.h"
#include "script_private.h"

struct lint {
    lua_State *L;
    const struct script_generation *generation, *old;
    enum lint_result result;
    struct err *err;
};

/* A list of the names that a sandbox has, as strings of another state. */
static bool push_globals(lua_State *L, struct script_generation *generation, struct err *err) {
    struct script_instance instance = {.generation = generation, .config = generation->config};
    if (!sandbox_open(&instance, err)) {
        sandbox_close(&instance);
        return false;
    }
    lua_State *sandbox = instance.L;
    lua_newtable(L);
    lua_pushvalue(sandbox, LUA_GLOBALSINDEX);
    protect_push_original(sandbox, lua_gettop(sandbox));
    for (lua_pushnil(sandbox); lua_next(sandbox, -2); lua_pop(sandbox, 1)) {
        if (lua_type(sandbox, -2) == LUA_TSTRING) {
            lua_pushstring(L, lua_tostring(sandbox, -2));
            lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
        }
    }
    sandbox_close(&instance);
    return true;
}

/* [lint] -> [lint]; false: a warning is in err. */
static bool look_at(struct lint *lint, const struct bundle_file *file) {
    lua_State *L = lint->L;
    lua_pushvalue(L, -1);
    lua_pushlstring(L, file->text, file->len);
    lua_call(L, 1, 2);
    bool good = lua_isnil(L, -2);
    if (!good) {
        err_set(lint->err, ERR_INPUT, "%s:%d: %s (luacheck)", file->path, (int)lua_tointeger(L, -2),
                lua_tostring(L, -1));
    }
    lua_pop(L, 2);
    return good;
}

static bool is_lua(const struct bundle_file *file) {
    size_t len = strlen(file->path);
    return len > 4 && strcmp(file->path + len - 4, ".lua") == 0;
}

/* Runs inside a protected call. [lint, names] */
static int run(lua_State *L) {
    struct lint *lint = lua_touserdata(L, 1);
    const struct bundle *bundle = &lint->generation->bundle;
    luaL_openlibs(L);
    /* It looks at a few files once: compiled traces would cost twice what they save. */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    if (luaL_loadbuffer(L, (const char *)lint_lua, sizeof lint_lua - 1, "=lint")) {
        return lua_error(L);
    }
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    lint->result = lua_isnil(L, -1) ? LINT_MISSING : LINT_GOOD;
    for (size_t i = 0; i < bundle->count && lint->result == LINT_GOOD; i++) {
        const struct bundle_file *file = &bundle->files[i];
        const struct bundle_file *known =
            lint->old ? bundle_find(&lint->old->bundle, file->name) : NULL;
        if (is_lua(file) && !bundle_file_equal(file, known) && !look_at(lint, file)) {
            lint->result = LINT_BAD;
        }
    }
    return 0;
}

enum lint_result lint_generation(const struct script_generation *generation,
                                 const struct script_generation *old, struct err *err) {
    struct lint lint = {luaL_newstate(), generation, old, LINT_BAD, err};
    if (!lint.L) {
        err_set(err, ERR_INTERNAL, "no memory for a Lua state");
        return LINT_BAD;
    }
    lua_pushcfunction(lint.L, run);
    lua_pushlightuserdata(lint.L, &lint);
    if (push_globals(lint.L, (struct script_generation *)generation, err) &&
        lua_pcall(lint.L, 2, 0, 0) != 0) {
        lint.result = LINT_BAD;
        err_set(err, ERR_INTERNAL, "luacheck failed: %s", lua_tostring(lint.L, -1));
    }
    lua_close(lint.L);
    return lint.result;
}
