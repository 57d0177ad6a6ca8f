/* redis_server: a model of Redis that runs the scripts of host/cache as they are, in LuaJIT. A
 * command is one step. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_memory.h"
#include "wire.h"

#define FULL "OOM command not allowed when used memory > 'maxmemory'."
#define LIFETIME_MS 60000 /* of every key: none ends by itself */

static lua_State *lua;
static struct versions speaks_of; /* the command under way */

static bool is(struct slice text, const char *word) {
    return slice_equal(text, slice_of(word));
}

/* ---- commands ------------------------------------------------------------------------------ */

static double number_of(struct slice text) {
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.data);
    return strtod(copy, NULL);
}

static void put_get(struct value *reply, struct slice key) {
    struct slice value = memory_get(&world->server.memory, key);
    if (value.data) {
        value_text(reply, '$', value);
    } else {
        value_nil(reply);
    }
}

static void run_set(const struct slice *args, int count, struct value *reply) {
    (void)count;
    memory_set(&world->server.memory, args[1], args[2]);
    value_text(reply, '+', slice_of("OK"));
}

static void run_get(const struct slice *args, int count, struct value *reply) {
    (void)count;
    put_get(reply, args[1]);
}

static void run_mget(const struct slice *args, int count, struct value *reply) {
    value_array(reply, count - 1);
    for (int i = 1; i < count; i++) {
        if (is(args[i], "ras:cache:floor") && mutation_is(NO_FLOOR_AT_READ)) {
            value_nil(reply);
        } else {
            put_get(reply, args[i]);
        }
    }
}

static void run_del(const struct slice *args, int count, struct value *reply) {
    int gone = 0;
    for (int i = 1; i < count; i++) {
        gone += memory_delete(&world->server.memory, args[i]);
    }
    value_integer(reply, gone);
}

static void run_incr(const struct slice *args, int count, struct value *reply) {
    (void)count;
    struct slice value = memory_get(&world->server.memory, args[1]);
    int64_t number = (value.data ? (int64_t)number_of(value) : 0) + 1;
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)number);
    memory_set(&world->server.memory, args[1], (struct slice){text, (size_t)len});
    value_integer(reply, number);
}

static void run_time(const struct slice *args, int count, struct value *reply) {
    (void)args, (void)count;
    char text[24];
    snprintf(text, sizeof text, "%lld",
             mutation_is(NO_CLOCK) ? 0 : (long long)world->server.time_s);
    value_array(reply, 2);
    value_text(reply, '$', slice_of(text));
    value_text(reply, '$', slice_of("0"));
}

static void run_pttl(const struct slice *args, int count, struct value *reply) {
    (void)count;
    int first;
    value_integer(reply,
                  memory_rows(&world->server.memory, args[1], &first) > 0 ? LIFETIME_MS : -2);
}

static void run_expire(const struct slice *args, int count, struct value *reply) {
    (void)args, (void)count;
    value_integer(reply, 1);
}

static void run_sadd(const struct slice *args, int count, struct value *reply) {
    for (int i = 2; i < count; i++) {
        memory_add(&world->server.memory, args[1], args[i], 0);
    }
    value_integer(reply, count - 2);
}

static void run_zadd(const struct slice *args, int count, struct value *reply) {
    (void)count;
    memory_add(&world->server.memory, args[1], args[3], number_of(args[2]));
    value_integer(reply, 1);
}

/* The distinct members of some sets, which are few. */
static void run_sunion(const struct slice *args, int count, struct value *reply) {
    struct slice found[ROWS];
    int found_count = 0;
    for (int i = 1; i < count; i++) {
        int first, rows = memory_rows(&world->server.memory, args[i], &first);
        for (int at = first; at < first + rows; at++) {
            const struct row *row = &world->server.memory.rows[at];
            struct slice member = {row->member, row->member_len};
            int same = 0;
            while (same < found_count && !slice_equal(found[same], member)) {
                same++;
            }
            found[same] = member;
            found_count += same == found_count;
        }
    }
    value_array(reply, found_count);
    for (int i = 0; i < found_count; i++) {
        value_text(reply, '$', found[i]);
    }
}

/* Of scores above "(N": members in order of their scores, which is that of their digits. */
static int rows_above(const struct slice *args, int rows[ROWS]) {
    int first, count = memory_rows(&world->server.memory, args[1], &first), found = 0;
    double above = number_of((struct slice){args[2].data + 1, args[2].len - 1});
    for (int at = first; at < first + count; at++) {
        if (world->server.memory.rows[at].score > above) {
            rows[found++] = at;
        }
    }
    return found;
}

static void run_zcount(const struct slice *args, int count, struct value *reply) {
    (void)count;
    int rows[ROWS];
    value_integer(reply, rows_above(args, rows));
}

static void run_zrangebyscore(const struct slice *args, int count, struct value *reply) {
    int rows[ROWS], found = rows_above(args, rows), first = 0, most = found;
    if (count > 6) {
        first = (int)number_of(args[5]);
        most = (int)number_of(args[6]);
    }
    int end = first + most < found ? first + most : found;
    value_array(reply, end > first ? end - first : 0);
    for (int i = first; i < end; i++) {
        const struct row *row = &world->server.memory.rows[rows[i]];
        value_text(reply, '$', (struct slice){row->member, row->member_len});
    }
}

static void run_zremrangebyrank(const struct slice *args, int count, struct value *reply) {
    (void)count;
    int first, rows = memory_rows(&world->server.memory, args[1], &first);
    int kept = -(int)number_of(args[3]) - 1, gone = rows > kept ? rows - kept : 0;
    for (int i = 0; i < gone; i++) {
        memory_delete_row(&world->server.memory, first);
    }
    value_integer(reply, gone);
}

/* A hash's values are numbers. */
static void put_field(struct value *reply, struct slice key, struct slice field) {
    int first, rows = memory_rows(&world->server.memory, key, &first);
    for (int at = first; at < first + rows; at++) {
        const struct row *row = &world->server.memory.rows[at];
        if (slice_equal((struct slice){row->member, row->member_len}, field)) {
            char text[32];
            snprintf(text, sizeof text, "%.0f", row->score);
            value_text(reply, '$', slice_of(text));
            return;
        }
    }
    value_nil(reply);
}

static void run_hget(const struct slice *args, int count, struct value *reply) {
    (void)count;
    put_field(reply, args[1], args[2]);
}

static void run_hmget(const struct slice *args, int count, struct value *reply) {
    value_array(reply, count - 2);
    for (int i = 2; i < count; i++) {
        put_field(reply, args[1], args[i]);
    }
}

static void run_hset(const struct slice *args, int count, struct value *reply) {
    (void)count;
    memory_add(&world->server.memory, args[1], args[2], number_of(args[3]));
    value_integer(reply, 1);
}

static void run_info(const struct slice *args, int count, struct value *reply) {
    (void)args, (void)count;
    char text[32];
    snprintf(text, sizeof text, "run_id:%d\r\n", world->server.run);
    value_text(reply, '$', slice_of(text));
}

static void send_reply(struct connection *connection, const struct value *value,
                       const struct versions *versions) {
    char bytes[WIRE_BYTES + sizeof *versions];
    if (!connection->open || connection->lost || connection->silent) {
        return;
    }
    memcpy(bytes, value->bytes, (size_t)value->len);
    memcpy(bytes + value->len, versions, sizeof *versions);
    wire_put_counted(&connection->out, bytes, value->len + (int)sizeof *versions);
}

/* The versions of the tags that the message names are announced from now on. */
static void note_announced(struct slice tags, struct versions *announced) {
    *announced = (struct versions){{0}};
    if (tags.len == 0) {
        *announced = speaks_of;
    }
    for (size_t at = 0; at + 8 <= tags.len; at += 8) {
        int tag = tags.data[at + 7] - 1;
        if (tag >= 0 && tag < TAGS) {
            announced->of[tag] = speaks_of.of[tag];
        }
    }
    versions_raise(&world->server.announced, announced);
}

static void run_publish(const struct slice *args, int count, struct value *reply) {
    (void)count;
    struct versions announced;
    int heard = 0;
    note_announced(args[2], &announced);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *connection = &world->connections[i];
        if (connection->used && connection->subscribed) {
            struct value message = {0};
            value_array(&message, 3);
            value_text(&message, '$', slice_of("message"));
            value_text(&message, '$', args[1]);
            value_text(&message, '$', args[2]);
            send_reply(connection, &message, &announced);
            heard++;
        }
    }
    value_integer(reply, heard);
}

static const struct {
    const char *name;
    void (*run)(const struct slice *args, int count, struct value *reply);
    bool takes_memory; /* refused where there is none */
} commands[] = {
    {"GET", run_get, false},
    {"MGET", run_mget, false},
    {"SET", run_set, true},
    {"DEL", run_del, false},
    {"INCR", run_incr, true},
    {"TIME", run_time, false},
    {"PTTL", run_pttl, false},
    {"EXPIRE", run_expire, false},
    {"SADD", run_sadd, true},
    {"SUNION", run_sunion, false},
    {"ZADD", run_zadd, true},
    {"ZCOUNT", run_zcount, false},
    {"ZRANGEBYSCORE", run_zrangebyscore, false},
    {"ZREMRANGEBYRANK", run_zremrangebyrank, false},
    {"PUBLISH", run_publish, false},
    {"HGET", run_hget, false},
    {"HMGET", run_hmget, false},
    {"HSET", run_hset, true},
    {"INFO", run_info, false},
};

static void run_command(const struct slice *args, int count, struct value *reply) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (is(args[0], commands[i].name)) {
            if (commands[i].takes_memory && world->server.refuses) {
                value_text(reply, '-', slice_of(FULL));
            } else {
                commands[i].run(args, count, reply);
            }
            return;
        }
    }
    fprintf(stderr, "explore_cache: the model of Redis does not know %.*s\n", (int)args[0].len,
            args[0].data);
    abort();
}

/* ---- scripts ------------------------------------------------------------------------------- */

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
    run_command(args, count, &reply);
    if (reply.bytes[0] == '-') {
        return luaL_error(state, "%s", FULL);
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

static void run_script(const struct command *command, struct value *reply) {
    int keys = (int)number_of(command->args[2]);
    push_script(command->args[1]);
    set_list("KEYS", command->args + 3, keys);
    set_list("ARGV", command->args + 3 + keys, command->count - 3 - keys);
    if (lua_pcall(lua, 0, 1, 0) != 0) {
        const char *text = lua_tostring(lua, -1);
        if (!strstr(text, FULL)) {
            fprintf(stderr, "explore_cache: %s\n", text);
            abort();
        }
        value_text(reply, '-', slice_of(FULL));
    } else {
        put_result(reply);
    }
    lua_settop(lua, 0);
}

/* ---- connections --------------------------------------------------------------------------- */

/* Its number does not depend on the order in which actors connect. */
int server_connect(int actor) {
    int first = actor * CONNECTIONS_AN_ACTOR;
    if (!world->server.up) {
        return NO_CONNECTION;
    }
    for (int i = first; i < first + CONNECTIONS_AN_ACTOR; i++) {
        struct connection *connection = &world->connections[i];
        if (!connection->used) {
            memset(connection, 0, sizeof *connection);
            connection->used = connection->open = true;
            connection->actor = actor;
            return i;
        }
    }
    fputs("explore_cache: too many connections: CONNECTIONS_AN_ACTOR\n", stderr);
    abort();
}

static void forget_if_done(struct connection *connection) {
    if (!connection->open && (connection->in.len == 0 || connection->lost)) {
        memset(connection, 0, sizeof *connection);
    }
}

void server_close(int number) {
    struct connection *connection = &world->connections[number];
    connection->open = connection->subscribed = false;
    connection->out.len = 0;
    forget_if_done(connection);
}

void server_lose(int number) {
    struct connection *connection = &world->connections[number];
    connection->lost = true;
    if (connection->subscribed) {
        connection->out.len = 0;
    }
    connection->subscribed = false;
    connection->in.len = 0;
    forget_if_done(connection);
}

bool server_can_execute(int number) {
    const struct connection *connection = &world->connections[number];
    return world->server.up && connection->used && !connection->lost && connection->in.len > 0;
}

static bool matters(const struct command *command) {
    return !is(command->args[0], "PTTL");
}

static void execute(struct connection *connection, const struct command *command) {
    struct value reply = {0};
    speaks_of = command->speaks_of;
    bool subscribes = is(command->args[0], "SUBSCRIBE");
    if (subscribes) {
        value_array(&reply, 0);
        connection->subscribed = true;
    } else if (is(command->args[0], "PING")) {
        value_array(&reply, 2);
        value_text(&reply, '$', slice_of("pong"));
        value_text(&reply, '$', slice_of(""));
    } else if (is(command->args[0], "EVAL")) {
        run_script(command, &reply);
    } else {
        run_command(command->args, command->count, &reply);
    }
    /* Earlier announcements do not arrive any more: they must have been processed. */
    send_reply(connection, &reply, subscribes ? &world->server.announced : &(struct versions){{0}});
    connection->executed++;
}

void server_execute(int number) {
    struct connection *connection = &world->connections[number];
    struct wire taken;
    struct command command;
    do {
        taken.len = 2 + wire_number(connection->in.bytes);
        memcpy(taken.bytes, connection->in.bytes, (size_t)taken.len);
        wire_drop_first(&connection->in);
        wire_read_command(&taken, &command);
        execute(connection, &command);
        if (connection->in.len > 0) { /* what changes nothing and sees nothing is no step */
            wire_read_command(&connection->in, &command);
        }
    } while (connection->in.len > 0 && !matters(&command));
    forget_if_done(connection);
}

const char *server_next_command(int number) {
    static char text[64];
    struct command command;
    wire_read_command(&world->connections[number].in, &command);
    const char *name = command.args[0].data;
    int len = (int)command.args[0].len;
    if (is(command.args[0], "EVAL")) {
        const char *script = command.args[1].data;
        snprintf(text, sizeof text, "%s",
                 strstr(script, "SADD")     ? "store"
                 : strstr(script, "SUNION") ? "invalidate"
                 : strstr(script, "run_id") ? "greet"
                 : strstr(script, "KNOWN")  ? "forget all"
                                            : "note the counts");
    } else {
        snprintf(text, sizeof text, "%.*s", len, name);
    }
    return text;
}

bool server_knows_counts(void) {
    char key[48];
    snprintf(key, sizeof key, "ras:cache:announced:%016x", VIEW);
    int first, rows = memory_rows(&world->server.memory, slice_of(key), &first);
    for (int i = 0; i < PROCESSES; i++) {
        int64_t known = 0;
        for (int at = first; at < first + rows; at++) {
            const struct row *row = &world->server.memory.rows[at];
            if (slice_equal((struct slice){row->member, row->member_len},
                            slice_of(partition_names[i]))) {
                known = (int64_t)row->score;
            }
        }
        if (known != world->counts[i]) {
            return false;
        }
    }
    return true;
}

/* ---- what befalls the server --------------------------------------------------------------- */

void server_crash(void) {
    world->server.up = false;
    world->server.time_s += 10; /* the time it takes */
    for (int i = 0; i < CONNECTIONS; i++) {
        if (world->connections[i].used) {
            server_lose(i);
        }
    }
}

void server_save(void) {
    memset(&world->server.saved, 0, sizeof world->server.saved);
    world->server.saved.count = world->server.memory.count;
    memcpy(world->server.saved.rows, world->server.memory.rows,
           (size_t)world->server.memory.count * sizeof(struct row));
    world->server.has_saved = true;
}

void server_evict(int row) {
    struct row evicted = world->server.memory.rows[row];
    memory_delete(&world->server.memory, (struct slice){evicted.key, evicted.key_len});
}
