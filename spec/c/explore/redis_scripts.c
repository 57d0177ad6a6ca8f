/* redis_scripts: runs the scripts of host/cache as they are, in LuaJIT. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_commands.h"

static lua_State *lua;

static const char *push_value(const char *at) {
    int count;
    switch (*at++) {
    case ':': {
        int64_t integer;
        memcpy(&integer, at, sizeof integer);
        lua_pushnumber(lua, (double)integer);
        return at + sizeof integer;
    }
    case '_':
        lua_pushboolean(lua, 0);
        return at;
    case '*':
        count = wire_number(at);
        at += 2;
        lua_createtable(lua, count, 0);
        for (int i = 1; i <= count; i++) {
            at = push_value(at);
            lua_rawseti(lua, -2, i);
        }
        return at;
    default:
        count = wire_number(at);
        lua_pushlstring(lua, at + 2, (size_t)count);
        return at + 2 + count;
    }
}

static int redis_call(lua_State *state) {
    struct slice args[ARGUMENTS];
    struct value reply = {0};
    int count = lua_gettop(state);
    for (int i = 0; i < count && i < ARGUMENTS; i++) {
        if (lua_type(state, i + 1) == LUA_TNUMBER) { /* as Redis has it */
            char text[32];
            snprintf(text, sizeof text, "%.17g", lua_tonumber(state, i + 1));
            lua_pushstring(state, text);
            lua_replace(state, i + 1);
        }
        args[i].data = luaL_checklstring(state, i + 1, &args[i].len);
    }
    redis_run_command(args, count, &reply);
    if (reply.bytes[0] == '-') {
        return luaL_error(state, "%s", REDIS_FULL);
    }
    push_value(reply.bytes);
    return 1;
}

static int redis_reply(lua_State *state, const char *field) {
    lua_createtable(state, 0, 1);
    lua_pushvalue(state, 1);
    lua_setfield(state, -2, field);
    return 1;
}

static int redis_error_reply(lua_State *state) {
    return redis_reply(state, "err");
}

static int redis_status_reply(lua_State *state) {
    return redis_reply(state, "ok");
}

void server_forget_scripts(void) {
    lua_newtable(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, "scripts");
}

void server_make(void) {
    lua = luaL_newstate();
    luaL_openlibs(lua);
    lua_newtable(lua);
    lua_pushcfunction(lua, redis_call);
    lua_setfield(lua, -2, "call");
    lua_pushcfunction(lua, redis_call); /* these commands are never refused */
    lua_setfield(lua, -2, "pcall");
    lua_pushcfunction(lua, redis_error_reply);
    lua_setfield(lua, -2, "error_reply");
    lua_pushcfunction(lua, redis_status_reply);
    lua_setfield(lua, -2, "status_reply");
    lua_setglobal(lua, "redis");
    server_forget_scripts();
}

static void push_script(struct slice text) {
    lua_getfield(lua, LUA_REGISTRYINDEX, "scripts");
    lua_pushlstring(lua, text.data, text.len);
    lua_rawget(lua, -2);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        size_t len;
        char *mutated = mutation_of_script(text, &len);
        bool bad = luaL_loadbuffer(lua, mutated, len, "=script") != 0;
        free(mutated);
        if (bad) {
            fprintf(stderr, "explore_cache: %s\n", lua_tostring(lua, -1));
            abort();
        }
        lua_pushlstring(lua, text.data, text.len);
        lua_pushvalue(lua, -2);
        lua_rawset(lua, -4);
    }
    lua_remove(lua, -2);
}

static void set_list(const char *name, const struct slice *texts, int count) {
    lua_createtable(lua, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushlstring(lua, texts[i].data, texts[i].len);
        lua_rawseti(lua, -2, i + 1);
    }
    lua_setglobal(lua, name);
}

static void put_result(struct value *reply) {
    if (lua_type(lua, -1) == LUA_TNUMBER) {
        value_integer(reply, (int64_t)lua_tonumber(lua, -1));
    } else if (lua_isstring(lua, -1)) {
        value_text(reply, '$', slice_of(lua_tostring(lua, -1)));
    } else if (lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "err");
        bool failed = !lua_isnil(lua, -1);
        if (!failed) {
            lua_getfield(lua, -2, "ok");
        }
        value_text(reply, failed ? '-' : '+', slice_of(lua_tostring(lua, -1)));
    } else {
        value_nil(reply);
    }
}

void redis_run_script(const struct command *command, struct value *reply) {
    int keys = (int)text_number(command->args[2]);
    push_script(command->args[1]);
    set_list("KEYS", command->args + 3, keys);
    set_list("ARGV", command->args + 3 + keys, command->count - 3 - keys);
    if (lua_pcall(lua, 0, 1, 0) != 0) {
        const char *text = lua_tostring(lua, -1);
        if (!strstr(text, REDIS_FULL)) {
            fprintf(stderr, "explore_cache: %s\n", text);
            abort();
        }
        value_text(reply, '-', slice_of(REDIS_FULL));
    } else {
        put_result(reply);
    }
    lua_settop(lua, 0);
}
