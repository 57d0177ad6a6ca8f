/* redis_client: in place of bindings/redis.c and of what host/cache/subscriber.c calls in hiredis.
 * What is sent is on the way at once; the server executes it when the search has it do so. A
 * failure makes a connection rest, as the breaker of bindings/redis.c does, until the search has
 * that time pass. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../bindings/redis.h"
#include "../../../host/base/buffer.h"
#include "../../../host/base/xalloc.h"
#include "wire.h"

#define SCRIPTS 8
#define CHAIN_PREFIX "ras:cache:chain:"
#define CHAIN_BYTES 48
#define SCRIPT_BYTES 200 /* no other argument is so long */

struct redis {
    struct buffer queue;
    int queued;
    int connection;
    bool resting; /* since a failure, until it is told to try again */
    bool patient; /* else until the server is there */
    bool under_way, late;
    redis_on_reply on_reply;
    void *context;
    redisReply **replies;
    int wanted, taken;
};

static struct {
    char *text;
    size_t len;
} scripts[SCRIPTS];

int script_number(const char *text, size_t len) {
    int i = 0;
    while (i < SCRIPTS && scripts[i].text &&
           !(scripts[i].len == len && memcmp(scripts[i].text, text, len) == 0)) {
        i++;
    }
    if (i < SCRIPTS && !scripts[i].text) {
        world_use_heap(-1);
        scripts[i].text = xstrndup(text, len);
        scripts[i].len = len;
        world_use_heap(actor_running);
    }
    return i;
}

const char *script_text(int number, size_t *len) {
    *len = scripts[number].len;
    return scripts[number].text;
}

/* ---- commands ------------------------------------------------------------------------------ */

/* Chains have names that are never the same again: here, only those of one state are not. */
static struct slice renamed(struct slice arg, char name[CHAIN_BYTES]) {
    const struct process *process = &world->processes[process_of(actor_running)];
    size_t prefix = strlen(CHAIN_PREFIX);
    if (arg.len < prefix || memcmp(arg.data, CHAIN_PREFIX, prefix) != 0) {
        return arg;
    }
    int len = snprintf(name, CHAIN_BYTES, CHAIN_PREFIX "%d:%d:%d", process_of(actor_running),
                       world->starts, process->announcements);
    return (struct slice){name, (size_t)len};
}

static void encode(struct buffer *out, const struct slice *args, size_t count) {
    const struct process *process = &world->processes[process_of(actor_running)];
    struct versions speaks = process->ended;
    char number = (char)count;
    versions_raise(&speaks, &process->loaded);
    int role = actor_running % ACTORS_A_PROCESS;
    if (role != WRITER) {
        speaks = role == AUDITOR ? process->audited : (struct versions){{0}};
    }
    struct buffer command = {0};
    char chain[CHAIN_BYTES];
    buffer_append(&command, &number, 1);
    for (size_t i = 0; i < count; i++) {
        struct slice arg = renamed(args[i], chain);
        bool script = arg.len > SCRIPT_BYTES;
        uint16_t len = script ? 0xFFFF : (uint16_t)arg.len;
        buffer_append(&command, &len, 2);
        if (script) {
            char known = (char)script_number(arg.data, arg.len);
            buffer_append(&command, &known, 1);
        } else {
            buffer_append(&command, arg.data, arg.len);
        }
    }
    buffer_append(&command, &speaks, sizeof speaks);
    uint16_t len = (uint16_t)command.len;
    buffer_append(out, &len, 2);
    buffer_append(out, command.data, command.len);
    buffer_free(&command);
}

/* ---- replies ------------------------------------------------------------------------------- */

static redisReply *decode(const char **at) {
    redisReply *reply = xcalloc(1, sizeof *reply);
    char type = *(*at)++;
    if (type == '_') {
        reply->type = REDIS_REPLY_NIL;
    } else if (type == ':') {
        int64_t integer;
        memcpy(&integer, *at, sizeof integer);
        *at += sizeof integer;
        reply->type = REDIS_REPLY_INTEGER;
        reply->integer = integer;
    } else if (type == '*') {
        reply->type = REDIS_REPLY_ARRAY;
        reply->elements = (size_t)wire_number(*at);
        *at += 2;
        reply->element = xcalloc(reply->elements, sizeof *reply->element);
        for (size_t i = 0; i < reply->elements; i++) {
            reply->element[i] = decode(at);
        }
    } else {
        reply->type = type == '$'   ? REDIS_REPLY_STRING
                      : type == '+' ? REDIS_REPLY_STATUS
                                    : REDIS_REPLY_ERROR;
        reply->len = (size_t)wire_number(*at);
        reply->str = xcalloc(1, reply->len + 1);
        memcpy(reply->str, *at + 2, reply->len);
        *at += 2 + reply->len;
    }
    return reply;
}

void freeReplyObject(void *object) {
    redisReply *reply = object;
    if (reply) {
        for (size_t i = 0; i < reply->elements; i++) {
            freeReplyObject(reply->element[i]);
        }
        free(reply->element);
        free(reply->str);
        free(reply);
    }
}

/* The next reply of the connection; what it speaks of is heard. NULL: none is there. */
static redisReply *take_reply(int number) {
    struct connection *connection = &world->connections[number];
    struct versions speaks_of;
    if (connection->out.len == 0) {
        return NULL;
    }
    const char *at = connection->out.bytes + 2;
    redisReply *reply = decode(&at);
    memcpy(&speaks_of, at, sizeof speaks_of);
    versions_raise(&world->processes[process_of(actor_running)].hears, &speaks_of);
    wire_drop_first(&connection->out);
    return reply;
}

/* ---- bindings/redis.h ---------------------------------------------------------------------- */

struct redis *redis_create(const char *url, int timeout_ms, struct err *err) {
    (void)url, (void)timeout_ms, (void)err;
    struct redis *redis = xcalloc(1, sizeof *redis);
    redis->connection = NO_CONNECTION;
    return redis;
}

static void disconnect(struct redis *redis) {
    if (redis->connection != NO_CONNECTION) {
        server_close(redis->connection);
    }
    redis->connection = NO_CONNECTION;
    redis->under_way = redis->late = false;
}

void redis_destroy(struct redis *redis) {
    if (redis) {
        disconnect(redis);
        buffer_free(&redis->queue);
        free(redis);
    }
}

bool redis_connected(const struct redis *redis) {
    return redis->connection != NO_CONNECTION;
}

/* For announcer_poll, which nothing here calls. */
int redis_socket(const struct redis *redis) {
    (void)redis;
    abort();
}

short redis_poll_events(const struct redis *redis) {
    (void)redis;
    abort();
}

bool redis_resting(const struct redis *redis) {
    return redis->resting && (redis->patient || !world->server.up);
}

void client_be_patient(struct redis *redis) {
    redis->patient = true;
}

void client_be_late(struct redis *redis) {
    redis->late = true;
}

void client_stop_resting(struct redis *redis) {
    redis->resting = false;
}

static bool client_is_lost(const struct redis *redis) {
    return redis->connection != NO_CONNECTION && world->connections[redis->connection].lost;
}

bool client_can_progress(const struct redis *redis) {
    return redis->under_way && (client_is_lost(redis) || client_has_all_replies(redis->connection));
}

static bool give_up(struct redis *redis, struct err *err) {
    buffer_free(&redis->queue);
    redis->queued = 0;
    disconnect(redis);
    redis->resting = true;
    return err_set(err, ERR_UNAVAILABLE, "no Redis");
}

bool redis_append(struct redis *redis, const struct slice *args, size_t count, struct err *err) {
    (void)err;
    encode(&redis->queue, args, count);
    redis->queued++;
    return true;
}

static bool begin(struct redis *redis, struct err *err) {
    if (redis->queued == 0) {
        return true;
    }
    if (client_is_lost(redis)) {
        disconnect(redis);
    }
    if (redis->connection == NO_CONNECTION) {
        redis->connection = redis_resting(redis) ? NO_CONNECTION : server_connect(actor_running);
    }
    if (redis->connection == NO_CONNECTION) {
        return give_up(redis, err);
    }
    struct connection *connection = &world->connections[redis->connection];
    wire_put(&connection->in, redis->queue.data, (int)redis->queue.len);
    world->processes[process_of(actor_running)].announcements +=
        actor_running % ACTORS_A_PROCESS == WRITER;
    connection->asked += redis->queued;
    redis->wanted = redis->queued;
    redis->taken = 0;
    redis->under_way = true;
    redis->resting = false;
    buffer_free(&redis->queue);
    redis->queued = 0;
    return true;
}

bool client_has_all_replies(int number) {
    const struct connection *connection = &world->connections[number];
    return connection->executed == connection->asked;
}

enum redis_progress redis_progress(struct redis *redis, struct err *err) {
    if (!redis->under_way) {
        return REDIS_DONE;
    }
    struct connection *connection = &world->connections[redis->connection];
    if (!client_has_all_replies(redis->connection)) {
        if (!connection->lost && !redis->late) {
            return REDIS_PENDING;
        }
        give_up(redis, err);
        return REDIS_FAILED;
    }
    for (; redis->taken < redis->wanted; redis->taken++) {
        redisReply *reply = take_reply(redis->connection);
        if (redis->on_reply) {
            redis->on_reply(redis->context, (size_t)redis->taken, reply);
        }
        freeReplyObject(reply);
    }
    connection->asked = connection->executed = 0;
    redis->under_way = false;
    return REDIS_DONE;
}

bool redis_finish(struct redis *redis, struct err *err) {
    for (;;) {
        enum redis_progress progress = redis_progress(redis, err);
        if (progress != REDIS_PENDING) {
            return progress == REDIS_DONE;
        }
        world->actors[actor_running].connection = redis->connection;
        int signal = actor_wait(WAIT_REPLIES, "waits for Redis");
        process_note_waited();
        world->actors[actor_running].connection = NO_CONNECTION;
        if (signal == SIGNAL_LATE) {
            return give_up(redis, err);
        }
    }
}

bool redis_begin(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err) {
    redis->on_reply = on_reply;
    redis->context = context;
    return begin(redis, err);
}

bool redis_run(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err) {
    return redis_begin(redis, on_reply, context, err) && redis_finish(redis, err);
}

bool redis_all_sent(const struct redis *redis) {
    (void)redis;
    return true;
}

/* ---- what the subscriber calls of hiredis ---------------------------------------------------- */

redisContext *redisConnectWithTimeout(const char *host, int port, const struct timeval timeout) {
    (void)host, (void)port, (void)timeout;
    redisContext *context = xcalloc(1, sizeof *context);
    context->fd = server_connect(actor_running);
    context->err = context->fd == NO_CONNECTION ? REDIS_ERR_IO : 0;
    return context;
}

void redisFree(redisContext *context) {
    if (context->fd != NO_CONNECTION) {
        server_close(context->fd);
    }
    free(context);
}

int redisSetTimeout(redisContext *context, const struct timeval timeout) {
    (void)context, (void)timeout;
    return REDIS_OK;
}

static void send(const redisContext *context, const struct slice *args, size_t count) {
    struct buffer bytes = {0};
    encode(&bytes, args, count);
    struct connection *connection = &world->connections[context->fd];
    wire_put(&connection->in, bytes.data, (int)bytes.len);
    connection->asked++;
    buffer_free(&bytes);
}

static redisReply *ask(const redisContext *context, const struct slice *args, size_t count) {
    struct connection *connection = &world->connections[context->fd];
    send(context, args, count);
    while (connection->out.len == 0) {
        if (connection->lost) {
            return NULL;
        }
        world->actors[actor_running].connection = context->fd;
        if (actor_wait(WAIT_REPLIES, "waits for Redis") == SIGNAL_LATE) {
            return NULL;
        }
    }
    return take_reply(context->fd);
}

void *redisCommandArgv(redisContext *context, int argc, const char **argv, const size_t *lengths) {
    struct slice args[ARGUMENTS];
    for (int i = 0; i < argc; i++) {
        args[i] = lengths ? (struct slice){argv[i], lengths[i]} : slice_of(argv[i]);
    }
    if (strcmp(argv[0], "EVAL") == 0 && mutation_is(NO_GREETING)) {
        redisReply *done = xcalloc(1, sizeof *done);
        done->type = REDIS_REPLY_INTEGER;
        return done;
    }
    return ask(context, args, (size_t)argc);
}

/* SUBSCRIBE, which takes no other argument here. */
void *redisCommand(redisContext *context, const char *format, ...) {
    struct slice args[] = {slice_of("SUBSCRIBE"), slice_of(format + strlen("SUBSCRIBE "))};
    return ask(context, args, 2);
}

int redisAppendCommand(redisContext *context, const char *format, ...) {
    send(context, (const struct slice[]){slice_of(format)}, 1); /* PING */
    return REDIS_OK;
}

int redisBufferWrite(redisContext *context, int *done) {
    (void)context;
    *done = 1;
    return REDIS_OK;
}

int redisBufferRead(redisContext *context) {
    const struct connection *connection = &world->connections[context->fd];
    world->actors[actor_running].connection = context->fd;
    return connection->lost && connection->out.len == 0 ? REDIS_ERR : REDIS_OK;
}

int redisGetReplyFromReader(redisContext *context, void **reply) {
    world->actors[actor_running].connection = context->fd; /* where it waits for the next */
    *reply = take_reply(context->fd);
    if (!*reply) {
        struct connection *connection = &world->connections[context->fd];
        connection->asked = connection->executed = 0;
    }
    return REDIS_OK;
}
