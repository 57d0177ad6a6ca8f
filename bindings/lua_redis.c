/* redis for scripts: commands alone or in a pipeline. Each Lua state has one connection, opened at
 * first use; an exchange ends within redis.timeout_ms and the time left for the script's call.
 *
 * All commands are checked before one is queued. The connection owns the replies until they are
 * pushed: a Lua error, which longjmps, leaks nothing. */
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "lua_host.h"
#include "lua_util.h"
#include "redis.h"

struct connection {
    struct redis *redis; /* NULL: not configured */
    redisReply **replies;
    size_t reply_count;
};

#define MIB (1024 * 1024)
#define MAX_COMMANDS_BYTES (16 * MIB)

/* Commands in order; Lua owns the strings. */
struct commands {
    struct slice *args;
    int *arg_counts;
    int count;
};

static void lua_redis_free_replies(struct connection *connection) {
    for (size_t i = 0; i < connection->reply_count; i++) {
        if (connection->replies[i]) {
            freeReplyObject(connection->replies[i]);
        }
    }
    free(connection->replies);
    connection->replies = NULL;
    connection->reply_count = 0;
}

static int lua_redis_close_connection(lua_State *L) {
    struct connection *connection = lua_touserdata(L, 1);
    lua_redis_free_replies(connection);
    redis_destroy(connection->redis);
    *connection = (struct connection){0};
    return 0;
}

/* ---- refused commands ---------------------------------------------------------------------- */

static const char waits[] = "it waits in the server, and would hold the script's thread";
static const char streams[] = "it turns the connection into a stream";
static const char changes[] = "it changes the connection, which other calls share";

static const struct {
    const char *name;
    const char *reason;
} refused[] = {
    {"BLPOP", waits},          {"BRPOP", waits},         {"BRPOPLPUSH", waits},
    {"BLMOVE", waits},         {"BLMPOP", waits},        {"BZPOPMIN", waits},
    {"BZPOPMAX", waits},       {"BZMPOP", waits},        {"WAIT", waits},
    {"WAITAOF", waits},        {"SUBSCRIBE", streams},   {"PSUBSCRIBE", streams},
    {"SSUBSCRIBE", streams},   {"MONITOR", streams},     {"SYNC", streams},
    {"PSYNC", streams},        {"UNSUBSCRIBE", streams}, {"PUNSUBSCRIBE", streams},
    {"SUNSUBSCRIBE", streams}, {"SELECT", changes},      {"AUTH", changes},
    {"HELLO", changes},        {"RESET", changes},       {"QUIT", changes},
    {"CLIENT", changes},       {"WATCH", changes},       {"READONLY", changes},
    {"READWRITE", changes},    {"ASKING", changes},      {"REPLCONF", changes},
};

static bool lua_redis_is(struct slice word, const char *name) {
    return word.len == strlen(name) && strncasecmp(word.data, name, word.len) == 0;
}

static const char *lua_redis_refusal(const struct slice *args, int count) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (lua_redis_is(args[0], refused[i].name)) {
            return refused[i].reason;
        }
    }
    if (lua_redis_is(args[0], "XREAD") || lua_redis_is(args[0], "XREADGROUP")) {
        for (int i = 1; i < count && !lua_redis_is(args[i], "STREAMS"); i++) {
            if (lua_redis_is(args[i], "BLOCK")) {
                return waits;
            }
            i += lua_redis_is(args[i], "GROUP") ? 2 : 0; /* names: of the group and its member */
        }
    }
    return NULL;
}

/* The pipeline copies the commands outside the Lua state's memory limit. */
static void lua_redis_check_size(lua_State *L, const char *call, const struct commands *commands) {
    const struct slice *args = commands->args;
    size_t bytes = 0;
    for (int i = 0; i < commands->count; i++) {
        for (int a = 0; a < commands->arg_counts[i]; a++) {
            bytes += args++->len;
        }
    }
    if (bytes > MAX_COMMANDS_BYTES) {
        luaL_error(L, "%s: the commands have %d MiB, at most %d MiB go at once: send fewer", call,
                   (int)(bytes / MIB), MAX_COMMANDS_BYTES / MIB);
    }
}

static void lua_redis_check_commands(lua_State *L, const char *call,
                                     const struct commands *commands) {
    lua_redis_check_size(L, call, commands);
    bool open = false; /* an open MULTI would take the commands of other calls */
    const struct slice *args = commands->args;
    for (int i = 0; i < commands->count; args += commands->arg_counts[i++]) {
        const char *reason = lua_redis_refusal(args, commands->arg_counts[i]);
        if (reason) {
            lua_pushlstring(L, args[0].data, args[0].len);
            luaL_error(L, "%s: %s is refused: %s", call, lua_tostring(L, -1), reason);
        }
        open = lua_redis_is(args[0], "MULTI") ||
               (open && !lua_redis_is(args[0], "EXEC") && !lua_redis_is(args[0], "DISCARD"));
    }
    if (open) {
        luaL_error(L, "%s: MULTI needs its EXEC or DISCARD in the same redis.pipeline", call);
    }
}

/* ---- arguments ---------------------------------------------------------------------------- */

/* Pops the argument at the top of the stack, as text, which the table at `anchor` keeps. */
static struct slice lua_redis_take_argument(lua_State *L, const char *call, int number,
                                            int anchor) {
    char text[LUA_NUMBER_TEXT_CAP];
    struct slice arg;
    int at = lua_gettop(L);
    if (lua_type(L, at) == LUA_TNUMBER) {
        lua_pushstring(L, lua_format_number(lua_tonumber(L, at), text));
        lua_replace(L, at);
    } else if (lua_type(L, at) != LUA_TSTRING) {
        lua_bad_argument(L, at, call,
                         number == 1 ? "the command" : lua_pushfstring(L, "argument %d", number),
                         number == 1 ? "a string" : "a string or a number");
    }
    arg.data = lua_tolstring(L, at, &arg.len);
    lua_rawseti(L, anchor, (int)lua_objlen(L, anchor) + 1);
    return arg;
}

/* Arguments 1 to n of the call are one command. Leaves the userdata of the result on the stack. */
static struct commands lua_redis_read_call(lua_State *L, const char *call) {
    int count = lua_gettop(L);
    struct commands commands = {.count = 1};
    if (count == 0) {
        lua_bad_argument(L, 1, call, "the command", "a string");
    }
    commands.args = lua_newuserdata(L, (size_t)count * sizeof *commands.args);
    commands.arg_counts = lua_newuserdata(L, sizeof *commands.arg_counts);
    commands.arg_counts[0] = count;
    lua_createtable(L, count, 0);
    int anchor = lua_gettop(L);
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, i + 1);
        commands.args[i] = lua_redis_take_argument(L, call, i + 1, anchor);
    }
    return commands;
}

/* Argument 1 is a list of commands, each a list. */
static struct commands lua_redis_read_pipeline(lua_State *L, const char *call) {
    struct commands commands = {0};
    lua_settop(L, 1);
    commands.count = lua_check_list(L, 1, call, "the argument");
    commands.arg_counts =
        lua_newuserdata(L, (size_t)commands.count * sizeof *commands.arg_counts + 1);
    size_t total = 0;
    for (int i = 0; i < commands.count; i++) {
        lua_rawgeti(L, 1, i + 1);
        const char *what = lua_pushfstring(L, "command %d", i + 1);
        commands.arg_counts[i] = lua_check_list(L, lua_gettop(L) - 1, call, what);
        if (commands.arg_counts[i] == 0) {
            luaL_error(L, "%s: %s is empty", call, what);
        }
        total += (size_t)commands.arg_counts[i];
        lua_pop(L, 2);
    }
    commands.args = lua_newuserdata(L, total * sizeof *commands.args + 1);
    lua_createtable(L, (int)total, 0);
    int anchor = lua_gettop(L);
    struct slice *arg = commands.args;
    for (int i = 0; i < commands.count; i++) {
        lua_rawgeti(L, 1, i + 1);
        const char *where = lua_pushfstring(L, "%s: command %d", call, i + 1);
        for (int j = 1; j <= commands.arg_counts[i]; j++) {
            lua_rawgeti(L, -2, j);
            *arg++ = lua_redis_take_argument(L, where, j, anchor);
        }
        lua_pop(L, 2);
    }
    return commands;
}

/* ---- replies ------------------------------------------------------------------------------ */

/* ERR_UNAVAILABLE for errors that pass without a change of the command. */
static enum err_kind lua_redis_reply_kind(const char *text) {
    static const char *const passing[] = {"LOADING",    "BUSY",     "MASTERDOWN", "CLUSTERDOWN",
                                          "TRYAGAIN",   "READONLY", "OOM",        "MISCONF",
                                          "NOREPLICAS", "UNBLOCKED"};
    size_t len = strcspn(text, " ");
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        if (strlen(passing[i]) == len && strncmp(text, passing[i], len) == 0) {
            return ERR_UNAVAILABLE;
        }
    }
    return ERR_INPUT;
}

/* In a list, nil becomes false, so that the list has no gap, and an error { error = failure }. */
static void lua_redis_push_reply(lua_State *L, const redisReply *reply, bool in_list) {
    struct err err = {0};
    luaL_checkstack(L, 8, "redis");
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        lua_push_integer(L, reply->integer);
        break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        lua_pushlstring(L, reply->str, (size_t)reply->len);
        break;
    case REDIS_REPLY_ARRAY:
        lua_createtable(L, (int)reply->elements, 0);
        lua_mark_list(L);
        for (size_t i = 0; i < reply->elements; i++) {
            lua_redis_push_reply(L, reply->element[i], true);
            lua_rawseti(L, -2, (int)i + 1);
        }
        break;
    case REDIS_REPLY_ERROR:
        err_set(&err, lua_redis_reply_kind(reply->str), "%s", reply->str);
        lua_createtable(L, 0, 1);
        lua_push_failure_table(L, &err);
        lua_setfield(L, -2, "error");
        break;
    default:
        in_list ? lua_pushboolean(L, 0) : lua_pushnil(L);
    }
}

/* ---- calls -------------------------------------------------------------------------------- */

/* Raises for a refused command. True: the replies are in connection->replies. */
static bool lua_redis_exchange(lua_State *L, const char *call, struct connection *connection,
                               const struct commands *commands, struct err *err) {
    lua_redis_check_commands(L, call, commands);
    int timeout_ms = lua_host_remaining_ms(L, call);
    if (!lua_host_may_ask(L, "redis", err)) {
        return false;
    }
    lua_redis_free_replies(connection);
    if (!connection->redis) {
        return err_set(err, ERR_UNAVAILABLE, "no Redis is configured (redis.url)");
    }
    if (timeout_ms == 0) {
        return err_set(err, ERR_TIMEOUT, "no time is left for a call of Redis");
    }
    const struct slice *args = commands->args;
    for (int i = 0; i < commands->count; args += commands->arg_counts[i++]) {
        if (!redis_append(connection->redis, args, (size_t)commands->arg_counts[i], err)) {
            return false;
        }
    }
    connection->replies = xcalloc((size_t)commands->count + 1, sizeof *connection->replies);
    connection->reply_count = (size_t)commands->count;
    int64_t began_us = clock_monotonic_us();
    bool ok = redis_run_within(connection->redis, timeout_ms, connection->replies, err);
    lua_host_note_wait(lua_host_of(L), began_us);
    return ok;
}

/* redis.call(command, ...) -> reply | nil, { kind, message } */
static int lua_redis_call(lua_State *L) {
    static const char call[] = "redis.call";
    struct connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    struct err err = {0};
    struct commands commands = lua_redis_read_call(L, call);
    if (lua_redis_is(commands.args[0], "MULTI") || lua_redis_is(commands.args[0], "EXEC") ||
        lua_redis_is(commands.args[0], "DISCARD")) {
        luaL_error(L, "%s: MULTI and its EXEC belong in one redis.pipeline", call);
    }
    if (!lua_redis_exchange(L, call, connection, &commands, &err)) {
        return lua_push_failure(L, &err);
    }
    const redisReply *reply = connection->replies[0];
    if (reply->type == REDIS_REPLY_ERROR) {
        err_set(&err, lua_redis_reply_kind(reply->str), "%s", reply->str);
        lua_redis_free_replies(connection);
        return lua_push_failure(L, &err);
    }
    lua_redis_push_reply(L, reply, false);
    lua_redis_free_replies(connection);
    return 1;
}

/* redis.pipeline(commands) -> replies in order | nil, { kind, message } */
static int lua_redis_pipeline(lua_State *L) {
    static const char call[] = "redis.pipeline";
    struct connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    struct err err = {0};
    struct commands commands = lua_redis_read_pipeline(L, call);
    if (!lua_redis_exchange(L, call, connection, &commands, &err)) {
        return lua_push_failure(L, &err);
    }
    lua_createtable(L, commands.count, 0);
    lua_mark_list(L);
    for (int i = 0; i < commands.count; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): exchange made them */
        lua_redis_push_reply(L, connection->replies[i], true);
        lua_rawseti(L, -2, i + 1);
    }
    lua_redis_free_replies(connection);
    return 1;
}

int luaopen_agg_redis(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"call", lua_redis_call}, {"pipeline", lua_redis_pipeline}, {NULL, NULL}};
    const struct lua_services *services = &lua_host_of(L)->services;
    struct err err = {0};
    lua_createtable(L, 0, 2);
    struct connection *connection =
        lua_new_resource(L, sizeof *connection, lua_redis_close_connection);
    if (services->redis_url[0]) {
        connection->redis = redis_create(services->redis_url, services->redis_timeout_ms, &err);
        if (!connection->redis) {
            return luaL_error(L, "redis: %s", err.text);
        }
    }
    lua_bind_functions(L, functions);
    return 1;
}
