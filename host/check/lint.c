#include "lint.h"

#include <stdlib.h>

#include "base/lua_job.h"
#include "base/problems.h"
#include "base/xalloc.h"
#include "script/advice.h"
#include "lint.lua.h"
#include "script/script_private.h"

struct lint {
    lua_State *L; /* with luacheck loaded; NULL: not yet */
    int look;     /* reference to lint.lua's function; LUA_REFNIL: luacheck is not installed */
};

struct pass {
    struct lint *lint;
    const struct script_generation *generation, *old;
    struct problems problems;
    bool missing; /* luacheck is not installed */
};

struct lint *lint_create(void) {
    return xcalloc(1, sizeof(struct lint));
}

void lint_destroy(struct lint *lint) {
    if (lint && lint->L) {
        lua_close(lint->L);
    }
    free(lint);
}

/* ---- loading luacheck ----------------------------------------------------------------------- */

/* In the guarded body: the names of the sandbox's globals, each with its NUL. [names] */
static int lint_collect_globals(lua_State *L) {
    struct buffer *names = lua_touserdata(L, 1);
    sandbox_push_globals(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            const char *name = lua_tostring(L, -2);
            buffer_append(names, name, strlen(name) + 1);
        }
    }
    return 0;
}

static bool lint_read_globals(struct script_generation *generation, struct buffer *names,
                              struct err *err) {
    struct script_instance instance = {.generation = generation, .config = generation->config};
    bool ok =
        sandbox_open(&instance, err) && script_guard(&instance, lint_collect_globals, names, err);
    sandbox_close(&instance);
    return ok;
}

struct loading {
    struct lint *lint;
    const struct buffer *names;
};

static void lint_push_names(lua_State *L, const struct buffer *names) {
    int count = 0;
    lua_newtable(L);
    for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
        lua_pushstring(L, names->data + at);
        lua_rawseti(L, -2, ++count);
    }
}

/* Runs inside a protected call. [loading] */
static int lint_load(lua_State *L) {
    const struct loading *loading = lua_touserdata(L, 1);
    lua_job_open_libraries(L);
    if (luaL_loadbuffer(L, (const char *)lint_lua, sizeof lint_lua - 1, "=lint")) {
        return lua_error(L);
    }
    lint_push_names(L, loading->names);
    lua_call(L, 1, 1);
    loading->lint->look = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* Reports the error at the top, and closes the state. */
static bool lint_fail(struct lint *lint, struct err *err) {
    const char *text = lua_type(lint->L, -1) == LUA_TSTRING ? lua_tostring(lint->L, -1) : NULL;
    err_set(err, ERR_INTERNAL, "luacheck failed: %s", text ? text : "no message");
    lua_close(lint->L);
    lint->L = NULL;
    return false;
}

static bool lint_open_state(struct lint *lint, const struct script_generation *generation,
                            struct err *err) {
    lint->L = luaL_newstate();
    if (!lint->L) {
        return err_set(err, ERR_INTERNAL, "no memory for a Lua state");
    }
    struct buffer names = {0};
    struct loading loading = {lint, &names};
    bool ok = lint_read_globals((struct script_generation *)generation, &names, err);
    if (!ok) {
        lua_close(lint->L);
        lint->L = NULL;
    } else {
        ok = lua_cpcall(lint->L, lint_load, &loading) == 0 || lint_fail(lint, err);
    }
    buffer_free(&names);
    return ok;
}

/* ---- checking ------------------------------------------------------------------------------ */

/* The string at the index of the warning at the top, borrowed from its table. */
static const char *lint_warning_text(lua_State *L, int index) {
    lua_rawgeti(L, -1, index);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text ? text : "";
}

/* [look] -> [look] */
static void lint_look_at(lua_State *L, const struct bundle_file *file, struct problems *problems) {
    lua_pushvalue(L, -1);
    lua_pushlstring(L, file->text, file->len);
    lua_call(L, 1, 1);
    for (size_t i = 0, count = lua_objlen(L, -1); i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        lua_rawgeti(L, -1, 1);
        int line = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        const char *instead = advice_instead_of(lint_warning_text(L, 3));
        problems_add(problems, file->path, line, "%s (luacheck)%s%s", lint_warning_text(L, 2),
                     instead ? ": " : "", instead ? instead : "");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static bool lint_is_lua(const struct bundle_file *file) {
    size_t len = strlen(file->path);
    return len > 4 && strcmp(file->path + len - 4, ".lua") == 0;
}

/* Runs inside a protected call. [pass] */
static int lint_run(lua_State *L) {
    struct pass *pass = lua_touserdata(L, 1);
    const struct bundle *bundle = &pass->generation->bundle;
    lua_rawgeti(L, LUA_REGISTRYINDEX, pass->lint->look);
    pass->missing = lua_isnil(L, -1);
    for (size_t i = 0; i < bundle->count && !pass->missing; i++) {
        const struct bundle_file *file = &bundle->files[i];
        const struct bundle_file *known =
            pass->old ? bundle_find(&pass->old->bundle, file->name) : NULL;
        if (lint_is_lua(file) && !bundle_file_equal(file, known)) {
            lint_look_at(L, file, &pass->problems);
        }
    }
    return 0;
}

enum lint_result lint_generation(struct lint *lint, const struct script_generation *generation,
                                 const struct script_generation *old, struct err *err) {
    struct pass pass = {.lint = lint, .generation = generation, .old = old};
    if (!lint->L && !lint_open_state(lint, generation, err)) {
        return LINT_BAD;
    }
    lua_pushcfunction(lint->L, lint_run);
    lua_pushlightuserdata(lint->L, &pass);
    bool ran = lua_pcall(lint->L, 1, 0, 0) == 0 || lint_fail(lint, err);
    bool good = ran && problems_report(&pass.problems, err);
    problems_free(&pass.problems);
    return good ? (pass.missing ? LINT_MISSING : LINT_GOOD) : LINT_BAD;
}
