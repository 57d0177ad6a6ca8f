/* repl_complete: asks repl_complete.lua, which the binary carries. */
#include <string.h>

#include "bindings/line_editor.h"
#include "repl_private.h"
#include "repl_complete.lua.h"

#define MAX_LINE 4096

struct question {
    const struct repl *repl;
    struct slice line; /* up to the cursor */
    struct line_words *words;
};

static int repl_complete_modules(lua_State *L) {
    names_push_modules(L);
    return 1;
}

static int repl_complete_queries(lua_State *L) {
    names_push_queries(L);
    return 1;
}

void repl_complete_push(lua_State *L, int globals_ref) {
    repl_push_chunk(L, repl_complete_lua, sizeof repl_complete_lua - 1, "=repl_complete");
    repl_push_raw(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, globals_ref);
    sandbox_push_globals(L);
    lua_pushcfunction(L, repl_complete_modules);
    lua_pushcfunction(L, repl_complete_queries);
    lua_call(L, 6, 1);
}

static int repl_complete_run(lua_State *L) {
    const struct question *question = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, question->repl->complete_ref);
    lua_pushlstring(L, question->line.data, question->line.len);
    lua_call(L, 1, 2); /* [words, typed] */
    question->words->typed = (size_t)lua_tointeger(L, -1);
    for (size_t i = 1; i <= lua_objlen(L, -2); i++) {
        lua_rawgeti(L, -2, (int)i);
        line_words_add(question->words, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return 0;
}

void repl_complete(void *context, const char *line, size_t len, struct line_words *words) {
    struct repl *repl = context;
    struct question question = {repl, {line, len}, words};
    if (len < MAX_LINE && lua_cpcall(repl->instance->host.L, repl_complete_run, &question) != 0) {
        lua_pop(repl->instance->host.L, 1); /* out of memory: no words */
    }
}
