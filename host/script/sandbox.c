/* sandbox: a Lua state with an explicit list of libraries, a memory cap, strict globals, and
 * `require` for bindings and files of the bundle. It guards against mistakes, not against
 * attackers. */
#include <ctype.h>
#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>

#include "bindings/lua_modules.h"
#include "bindings/lua_names.h"
#include "advice.h"
#include "compiler.h"
#include "config/config.h"
#include "direct.h"
#include "base/lua_lexer.h"
#include "fuel.h"
#include "script_private.h"

/* An allocation of this size may take long: it makes the hook check the time. */
#define LARGE_BYTES 65536
/* One string or table, which one instruction may read whole. A string's buffer may be twice as
 * long. */
#define MAX_BLOCK_BYTES (32UL * 1024 * 1024 + LARGE_BYTES)
/* Above the cap: more than compiled code takes between two guards. */
#define COMPILED_RESERVE_BYTES (256UL * 1024 * 1024)

_Static_assert(offsetof(struct script_instance, host) == 0, "a state leads to its instance");

struct script_instance *sandbox_instance(lua_State *L) {
    return (struct script_instance *)lua_host_of(L);
}

void sandbox_push_globals(lua_State *L) {
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    protect_push_original(L, lua_gettop(L));
    lua_remove(L, -2);
}

/* Whether the state may grow. LuaJIT (up to May 2023) may crash if an allocation of compiled code
 * fails. There the cap is no refusal: the call ends at the next guard or interpreted instruction.
 */
static bool sandbox_may_grow(struct script_instance *instance, size_t old_size, size_t new_size) {
    size_t used = instance->memory_used + new_size - old_size;
    if (new_size <= MAX_BLOCK_BYTES && used <= instance->memory_limit) {
        return true;
    }
    instance->host.full = true;
    if (!instance->host.compiled || used > instance->memory_limit + COMPILED_RESERVE_BYTES) {
        return false;
    }
    lua_host_hurry(&instance->host);
    return true;
}

static void *sandbox_allocate(void *context, void *memory, size_t old_size, size_t new_size) {
    struct script_instance *instance = context;
    if (new_size == 0) {
        instance->memory_used -= old_size;
        lua_host_count_block(&instance->host, old_size, 0);
        return instance->heap(instance->heap_context, memory, old_size, 0);
    }
    if (new_size > old_size && !sandbox_may_grow(instance, old_size, new_size)) {
        return NULL;
    }
    void *grown = instance->heap(instance->heap_context, memory, old_size, new_size);
    if (grown) {
        instance->memory_used += new_size - old_size;
        lua_host_count_block(&instance->host, old_size, new_size);
        if (new_size >= LARGE_BYTES) {
            lua_host_hurry(&instance->host);
        }
    }
    return grown;
}

/* LuaJIT's own heap of the state is freed as a whole. In the process' heap, replaced states would
 * leave holes. */
static void sandbox_bound_memory(struct script_instance *instance) {
    lua_State *L = instance->host.L;
    instance->memory_used =
        (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
    instance->heap = lua_getallocf(L, &instance->heap_context);
    lua_setallocf(L, sandbox_allocate, instance);
}

static int sandbox_refuse_module(lua_State *L, const char *name) {
    const char *dotted = luaL_gsub(L, name, "/", ".");
    names_push_modules(L);
    const char *nearest = lua_names_nearest(L, -1, dotted);
    lua_pushfstring(L, nearest ? ": did you mean \"%s\"?" : "", nearest);
    return luaL_error(L, "module \"%s\" is neither a binding nor a file under scripts/%s", name,
                      lua_tostring(L, -1));
}

/* LuaJIT's 64-bit and complex numbers (1LL, 1ULL, 2i) are no numbers to the view, JSON or the
 * database. */
static bool sandbox_is_c_number(struct slice text) {
    char last = text.len ? (char)(text.data[text.len - 1] | 0x20) : '\0';
    return text.len > 1 && isdigit((unsigned char)text.data[0]) && (last == 'l' || last == 'i');
}

/* Raises for literals such as 1LL in a script's text. */
static void sandbox_refuse_c_numbers(lua_State *L, const char *text, const char *path) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    for (enum lua_token kind; (kind = lua_lexer_next(&lexer)) != LUA_TOKEN_END;) {
        if (kind == LUA_TOKEN_NAME && !lexer.quote && sandbox_is_c_number(lexer.text)) {
            lua_pushlstring(L, lexer.text.data, lexer.text.len);
            luaL_error(L,
                       "%s:%d: %s is not available: scripts have Lua's numbers only; write larger "
                       "whole numbers as strings",
                       path, lexer.token_line, lua_tostring(L, -1));
        }
    }
}

static bool sandbox_is_interpreted(const struct script_instance *instance, const char *name) {
    const struct config_strings *names = &instance->config->scripts.interpreted;
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

void sandbox_seal_binding(lua_State *L, const char *name) {
    lua_pushvalue(L, -1);
    lua_names_push_strict(L, name, "", NULL);
    lua_setmetatable(L, -2);
    protect_table(L, name);
}

/* require "lib.x" or "pg" */
static int sandbox_lua_require(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES); /* [name, modules] */
    lua_getfield(L, -1, name);
    if (lua_islightuserdata(L, -1)) {
        return luaL_error(L, "module \"%s\" requires itself, or could not be loaded before", name);
    }
    if (!lua_isnil(L, -1)) {
        return 1;
    }
    lua_pushlightuserdata(L, instance);
    lua_setfield(L, 2, name); /* while it loads */
    lua_CFunction open = lua_modules_find(name);
    if (open) {
        lua_pushcfunction(L, open);
        lua_call(L, 0, 1);
        sandbox_seal_binding(L, name);
    } else {
        const char *path = luaL_gsub(L, name, ".", "/");
        const struct bundle_file *file = bundle_find(&instance->generation->bundle, path);
        if (!file && instance->support) {
            file = bundle_find(instance->support, path);
        }
        if (!file) {
            return sandbox_refuse_module(L, name);
        }
        sandbox_refuse_c_numbers(L, file->text, file->path);
        struct fuel_source source = {{file->text, file->len},
                                     lua_pushfstring(L, "@%s", file->path),
                                     sandbox_is_interpreted(instance, file->name)};
        if (fuel_load(L, &source) != 0) {
            return lua_error(L);
        }
        lua_call(L, 0, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

bool sandbox_find_hidden(lua_State *L, int at) {
    return fuel_find_global(L, at) || direct_find_global(L, at);
}

static int sandbox_refuse_global(lua_State *L) {
    if (sandbox_find_hidden(L, 2)) {
        return 1;
    }
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    const char *nearest = lua_names_nearest(L, 1, name), *instead = advice_instead_of(name);
    if (instead) {
        return luaL_error(L, "global \"%s\" is not available to scripts: %s", name, instead);
    }
    if (lua_modules_find(name)) {
        return luaL_error(L, "global \"%s\" is not declared: write local %s = require(\"%s\")",
                          name, name, name);
    }
    if (nearest) {
        return luaL_error(L, "global \"%s\" is not declared: did you mean \"%s\"?", name, nearest);
    }
    return luaL_error(L, "global \"%s\" is not declared: write local", name);
}

/* Makes the globals and their libraries read-only. Later chunks get an empty table that reads
 * through to the globals. */
static void sandbox_seal(lua_State *L) {
    static const char *const libraries[] = {LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME};
    protect_open(L);
    lua_register(L, "rawset", protect_rawset);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_getglobal(L, libraries[i]);
        protect_table(L, libraries[i]);
        lua_setglobal(L, libraries[i]);
    }
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1); /* the strings' metatable: its __index is the library */
    lua_pushliteral(L, "read-only");
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, sandbox_refuse_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2); /* [.., globals] */
    lua_pushvalue(L, -1);
    protect_table(L, "_G"); /* [.., globals, sealed] */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "_G");
    lua_replace(L, LUA_GLOBALSINDEX);
}

static int sandbox_set_up(lua_State *L) {
    static const luaL_Reg libraries[] = {{"", luaopen_base},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_MATHLIBNAME, luaopen_math}};
    static const char *const removed[] = {"load",    "loadstring",     "loadfile", "dofile",
                                          "setfenv", "getfenv",        "newproxy", "module",
                                          "gcinfo",  "collectgarbage", "coroutine"};
    /* Bytecode, and what a replay cannot repeat. */
    static const struct {
        const char *library, *name;
    } hidden[] = {{LUA_STRLIBNAME, "dump"},
                  {LUA_MATHLIBNAME, "random"},
                  {LUA_MATHLIBNAME, "randomseed"},
                  {LUA_TABLIBNAME, "foreach"},
                  {LUA_TABLIBNAME, "foreachi"}};
    struct script_instance *instance = lua_touserdata(L, 1);
    lua_pushcfunction(L, script_on_error);
    instance->on_error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, script_run_body);
    instance->run_body_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
    if (instance->host.compiled) {
        direct_open(L);
    }
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        lua_pushnil(L);
        lua_setglobal(L, removed[i]);
    }
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        lua_getglobal(L, hidden[i].library);
        lua_pushnil(L);
        lua_setfield(L, -2, hidden[i].name);
        lua_pop(L, 1);
    }
    if (instance->host.compiled) {
        compiler_open(L);
        fuel_open(L);
    }
    library_replace(L);
    order_replace(L);
    text_replace(L);
    minmax_replace(L);
    substring_replace(L);
    print_replace(L);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
    lua_register(L, "require", sandbox_lua_require);
    sandbox_seal(L);
    return 0;
}

static const char *sandbox_query_text(lua_State *L, const char *name) {
    struct script_query query;
    return script_find_query(sandbox_instance(L)->generation, name, &query) ? query.text : NULL;
}

/* The server must not work much longer than the script waits. The script's limit ends first: one
 * cause has one error. */
#define SERVER_GRACE_MS 500

/* What bindings open their clients with. */
static void sandbox_set_services(struct script_instance *instance) {
    const struct config *config = instance->config;
    bool read_only = instance->read_only;
    int longest_ms = config->scripts.handler_timeout_ms,
        query_ms = config->postgres.statement_timeout_ms;
    longest_ms = longest_ms > config->scripts.route_timeout_ms ? longest_ms
                                                               : config->scripts.route_timeout_ms;
    longest_ms += SERVER_GRACE_MS;
    instance->host.services = (struct lua_services){
        .pg = {.url = config->postgres.url,
               .application_name = read_only ? "aggregator repl" : "aggregator scripts",
               .connect_timeout_ms = config->postgres.connect_timeout_ms,
               .statement_timeout_ms = query_ms < longest_ms ? query_ms : longest_ms,
               .read_only = read_only},
        .redis_url = config->redis.url,
        .redis_timeout_ms = config->redis.timeout_ms,
        .kafka = config_kafka_settings(config),
        .http_tls_ca = config->scripts.http_tls_ca,
        .longest_call_ms = longest_ms,
        .metrics = instance->generation->metrics,
        .query = sandbox_query_text,
        .push_queries = names_push_queries,
    };
}

bool sandbox_open(struct script_instance *instance, struct err *err) {
    instance->memory_limit = (size_t)instance->config->scripts.memory_limit_mb * 1024 * 1024;
    instance->host.L = luaL_newstate();
    if (!instance->host.L) {
        return err_set(err, ERR_INTERNAL, "no memory for a Lua state");
    }
    sandbox_bound_memory(instance);
    sandbox_set_services(instance);
    lua_atpanic(instance->host.L, script_panic);
    watched_add(&instance->watched, instance->generation);
    luaJIT_setmode(instance->host.L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    /* Compiled code calls no line hook. */
    instance->host.compiled =
        instance->config->scripts.compile && !instance->host.on_line && compiler_is_allowed();
    instance->host.has_unguarded = instance->config->scripts.interpreted.count > 0;
    if (lua_cpcall(instance->host.L, sandbox_set_up, instance) != 0 ||
        (instance->host.compiled && !compiler_keep_stack(instance->host.L))) {
        const char *text = lua_type(instance->host.L, -1) == LUA_TSTRING
                               ? lua_tostring(instance->host.L, -1)
                               : "no message";
        return err_set(err, ERR_INTERNAL, "cannot set up a Lua state: %s", text);
    }
    instance->host.healthy = true;
    return true;
}

void sandbox_close(struct script_instance *instance) {
    if (instance->host.L) {
        watched_remove(&instance->watched);
        compiler_forget(instance);
        /* Finalizers no longer reach the instance. */
        lua_setallocf(instance->host.L, instance->heap, instance->heap_context);
        lua_close(instance->host.L);
        instance->host.L = NULL;
    }
}

static int sandbox_load_module(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushstring(L, lua_touserdata(L, 1));
    lua_call(L, 1, 0);
    return 0;
}

bool sandbox_load(struct script_instance *instance, const char *name, struct err *err) {
    bool outer = instance->host.loading;
    instance->host.loading = true;
    watched_name(&instance->watched, name, NULL);
    bool ok = script_guard(instance, sandbox_load_module, (void *)name, err);
    instance->host.loading = outer;
    return ok;
}

void sandbox_push_module(lua_State *L, const char *name) {
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}
