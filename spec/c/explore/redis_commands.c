/* redis_commands: the commands that the cache and its scripts send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_commands.h"

#define LIFETIME_MS 60000 /* of every key: none ends by itself */

struct versions redis_speaks_of;

bool text_is(struct slice text, const char *word) {
    return slice_equal(text, slice_of(word));
}

double text_number(struct slice text) {
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
        if (text_is(args[i], "ras:cache:floor") && mutation_is(NO_FLOOR_AT_READ)) {
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
    int64_t number = (value.data ? (int64_t)text_number(value) : 0) + 1;
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
    memory_add(&world->server.memory, args[1], args[3], text_number(args[2]));
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
    double above = text_number((struct slice){args[2].data + 1, args[2].len - 1});
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
        first = (int)text_number(args[5]);
        most = (int)text_number(args[6]);
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
    int kept = -(int)text_number(args[3]) - 1, gone = rows > kept ? rows - kept : 0;
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
    memory_add(&world->server.memory, args[1], args[2], text_number(args[3]));
    value_integer(reply, 1);
}

static void run_info(const struct slice *args, int count, struct value *reply) {
    (void)args, (void)count;
    char text[32];
    snprintf(text, sizeof text, "run_id:%d\r\n", world->server.run);
    value_text(reply, '$', slice_of(text));
}

void connection_send(struct connection *connection, const struct value *value,
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
        *announced = redis_speaks_of;
    }
    for (size_t at = 0; at + 8 <= tags.len; at += 8) {
        int tag = tags.data[at + 7] - 1;
        if (tag >= 0 && tag < TAGS) {
            announced->of[tag] = redis_speaks_of.of[tag];
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
            connection_send(connection, &message, &announced);
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

void redis_run_command(const struct slice *args, int count, struct value *reply) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (text_is(args[0], commands[i].name)) {
            if (commands[i].takes_memory && world->server.refuses) {
                value_text(reply, '-', slice_of(REDIS_FULL));
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
