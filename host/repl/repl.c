/* repl: runs the console's lines in a Lua state. */
#include "repl.h"

#include <stdio.h>
#include <stdlib.h>

#include "bindings/lua_modules.h"
#include "bindings/lua_names.h"
#include "base/terminal.h"
#include "base/xalloc.h"
#include "script/fuel.h"
#include "repl_private.h"

#define CHUNK "=console"

static volatile sig_atomic_t interrupted; /* set by a signal */

void repl_interrupt(void) {
    interrupted = 1;
}

/* ---- a state ------------------------------------------------------------------------------ */

static struct repl *repl_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

static void repl_print_output(struct repl *repl) {
    buffer_append_text(&repl->output, "\n");
    (void)terminal_print(stdout, buffer_slice(&repl->output));
    buffer_clear(&repl->output);
}

/* Appends the value at `at` to the output. */
static void repl_append(lua_State *L, struct repl *repl, int at) {
    size_t len;
    lua_rawgeti(L, LUA_REGISTRYINDEX, repl->show_ref);
    lua_pushvalue(L, at);
    lua_call(L, 1, 1);
    const char *text = lua_tolstring(L, -1, &len);
    buffer_append(&repl->output, text, len);
    lua_pop(L, 1);
}

static int repl_show_all(lua_State *L) {
    struct repl *repl = repl_of(L);
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        buffer_clear(&repl->output);
        repl_append(L, repl, i);
        repl_print_output(repl);
    }
    return 0;
}

/* Lua's print, which the sandbox lacks: values on one line. */
static int repl_print_line(lua_State *L) {
    struct repl *repl = repl_of(L);
    int count = lua_gettop(L);
    buffer_clear(&repl->output);
    for (int i = 1; i <= count; i++) {
        buffer_append_text(&repl->output, i > 1 ? "\t" : "");
        repl_append(L, repl, i);
    }
    repl_print_output(repl);
    return 0;
}

/* __index of the console's globals: reads the sandbox's. */
static int repl_find_global(lua_State *L) {
    sandbox_push_globals(L);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1) || lua_type(L, 2) != LUA_TSTRING || sandbox_find_hidden(L, 2)) {
        return 1;
    }
    const char *name = lua_tostring(L, 2), *nearest = lua_names_nearest(L, 1, name);
    nearest = nearest ? nearest : lua_names_nearest(L, 3, name);
    return nearest ? luaL_error(L, "nothing is called \"%s\": did you mean \"%s\"?", name, nearest)
                   : luaL_error(L, "nothing is called \"%s\"", name);
}

/* Creates the console's globals in the registry. Argument: the repl. */
static int repl_open_globals(lua_State *L) {
    struct repl *repl = lua_touserdata(L, 1);
    lua_newtable(L);
    for (const luaL_Reg *module = lua_modules; module->name; module++) {
        if (strchr(module->name, '.')) { /* not a global's name: use require */
            continue;
        }
        lua_getglobal(L, "require");
        lua_pushstring(L, module->name);
        lua_call(L, 1, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, repl_print_line, 1);
    lua_setfield(L, -2, "print");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, repl_find_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    repl->globals_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    repl_show_push(L);
    repl->show_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    repl_complete_push(L, repl->globals_ref);
    repl->complete_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static bool repl_open_state(struct repl *repl, struct err *err) {
    struct script_instance *instance = xcalloc(1, sizeof *instance);
    instance->generation = script_generation_ref(repl->generation);
    instance->config = repl->generation->config;
    instance->read_only = true;
    instance->host.interrupted = &interrupted;
    repl->instance = instance;
    return sandbox_open(instance, err) && script_guard(instance, repl_open_globals, repl, err);
}

struct repl *repl_create(const struct config *config, struct err *err) {
    struct repl *repl = xcalloc(1, sizeof *repl);
    repl->generation = script_generation_load(config, 1, err);
    if (!repl->generation || !repl_open_state(repl, err)) {
        repl_destroy(repl);
        return NULL;
    }
    return repl;
}

void repl_destroy(struct repl *repl) {
    script_instance_destroy(repl->instance);
    script_generation_unref(repl->generation);
    buffer_free(&repl->output);
    free(repl);
}

/* ---- a text ------------------------------------------------------------------------------- */

/* One text, compiled and run. */
struct console {
    struct repl *repl;
    const char *text;
    int line;
    bool incomplete;
};

/* Pushes the function, or the compile error. Empty lines move the text to its line. */
static bool repl_compile(lua_State *L, const char *before, const struct console *console,
                         const char *text) {
    luaL_Buffer chunk;
    luaL_buffinit(L, &chunk);
    for (int i = 1; i < console->line; i++) {
        luaL_addchar(&chunk, '\n');
    }
    luaL_addstring(&chunk, before);
    luaL_addstring(&chunk, text);
    luaL_pushresult(&chunk);
    struct fuel_source source = {.chunk_name = CHUNK};
    source.text.data = lua_tolstring(L, -1, &source.text.len);
    int status = fuel_load(L, &source);
    lua_remove(L, -2);
    return status == 0;
}

/* As an expression if possible. */
static bool repl_compile_any(lua_State *L, const struct console *console) {
    const char *start = console->text + strspn(console->text, " \t\n");
    if (repl_compile(L, "return ", console, *start == '=' ? start + 1 : console->text)) {
        return true;
    }
    if (*start == '=') {
        return false;
    }
    lua_pop(L, 1);
    return repl_compile(L, "", console, console->text);
}

static bool repl_wants_more(const char *problem) {
    static const char ending[] = "'<eof>'";
    size_t len = strlen(problem), end = sizeof ending - 1;
    return len >= end && strcmp(problem + len - end, ending) == 0;
}

/* Compiles the text, calls it and shows what it returns. [console] */
static int repl_run_text(lua_State *L) {
    struct console *console = lua_touserdata(L, 1);
    if (!repl_compile_any(L, console)) {
        console->incomplete = lua_isstring(L, -1) && repl_wants_more(lua_tostring(L, -1));
        return lua_error(L);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, console->repl->globals_ref);
    lua_setfenv(L, -2);
    lua_call(L, 0, LUA_MULTRET);
    lua_pushlightuserdata(L, console->repl);
    lua_pushcclosure(L, repl_show_all, 1);
    lua_replace(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

/* Replaces a state that hit the memory cap. */
static void repl_replace_state(struct repl *repl) {
    struct err err = {0};
    script_instance_destroy(repl->instance);
    repl->instance = NULL;
    if (!repl_open_state(repl, &err)) {
        fprintf(stderr, "aggregator: repl: %s\n", err.text);
        exit(1);
    }
    fputs("the memory cap was hit: the console has a new state, assigned values are lost\n",
          stderr);
}

enum repl_result repl_run(struct repl *repl, const char *text, int line) {
    struct script_instance *instance = repl->instance;
    struct console console = {repl, text, line, false};
    struct err err = {0};
    fflush(stdout);
    if (text[strspn(text, " \t\n")] == '\0') {
        return REPL_DONE;
    }
    interrupted = 0; /* it may have arrived between lines */
    enum script_result result = script_call(instance, repl_run_text, &console,
                                            instance->config->scripts.route_timeout_ms, &err);
    if (result == SCRIPT_OK) {
        return REPL_DONE;
    }
    if (console.incomplete) {
        return REPL_INCOMPLETE;
    }
    (void)terminal_print(stderr, slice_of(err.text));
    fputc('\n', stderr);
    if (result == SCRIPT_TIMEOUT || result == SCRIPT_OUTAGE) {
        instance->host.healthy = true; /* only its author sees what is incomplete */
    } else if (!instance->host.healthy) {
        repl_replace_state(repl);
    }
    return REPL_FAILED;
}
