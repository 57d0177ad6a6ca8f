/* redis_client: in place of bindings/redis.c.
 * What is sent is on the way at once; the server executes it when the search has it do so. A
 * failure makes a connection rest, as the breaker of bindings/redis.c does, until the search has
 * that time pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/redis.h"
#include "base/buffer.h"
#include "base/xalloc.h"
#include "wire.h"

#define SCRIPTS 8
#define CHAIN_PREFIX "ras:cache:chain:"
#define CHAIN_BYTES 48
#define SCRIPT_BYTES 200 /* no other argument is so long */

struct redis {
    struct buffer queue;
    int queued;
    int connection;
    bool resting; /* since a failure, until the search lets it retry */
    bool patient; /* else until the server is there */
    bool under_way, late;
    redis_on_reply on_reply;
    void *context;
    redisReply **replies;
    int wanted, taken;
    int first; /* index of the first reply: that of SUBSCRIBE alone where no greeting is sent */
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

static bool names_chain; /* what is queued, and will be begun before anybody else runs */

/* Chains have names that are never the same again: here, only those of one state are not. */
static struct slice renamed(struct slice arg, char name[CHAIN_BYTES]) {
    const struct process *process = &world->processes[process_of(actor_running)];
    size_t prefix = strlen(CHAIN_PREFIX);
    if (arg.len < prefix || memcmp(arg.data, CHAIN_PREFIX, prefix) != 0) {
        return arg;
    }
    names_chain = true;
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

/* The next reply of the connection; its invalidation counts as received. NULL: none. */
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

/* There is one server. */
bool redis_is_current(const struct redis *redis) {
    (void)redis;
    return true;
}

size_t redis_queued(const struct redis *redis) {
    return (size_t)redis->queued;
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
    bool has_chain = names_chain;
    names_chain = false;
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
    world->processes[process_of(actor_running)].announcements += has_chain;
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
            redis->on_reply(redis->context, (size_t)(redis->first + redis->taken), reply);
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

/* ---- subscriptions -------------------------------------------------------------------------- */

void redis_disconnect(struct redis *redis) {
    disconnect(redis);
}

bool redis_subscribe(struct redis *redis, const char *channel, redis_on_reply on_reply,
                     void *context, struct err *err) {
    redisReply none = {.type = REDIS_REPLY_INTEGER};
    if (mutation_is(NO_RESTART_CHECK)) {
        buffer_free(&redis->queue);
        redis->queued = 0;
        on_reply(context, 0, &none);
        redis->first = 1;
    }
    struct slice args[] = {slice_of("SUBSCRIBE"), slice_of(channel)};
    return redis_append(redis, args, 2, err) && redis_run(redis, on_reply, context, err);
}

bool redis_receive(struct redis *redis, redis_on_reply on_push, void *context, struct err *err) {
    struct connection *connection = &world->connections[redis->connection];
    redisReply *reply;
    world->actors[actor_running].connection = redis->connection; /* where it waits for the next */
    if (connection->lost && connection->out.len == 0) {
        return err_set(err, ERR_UNAVAILABLE, "no Redis");
    }
    while ((reply = take_reply(redis->connection))) {
        on_push(context, 0, reply);
        freeReplyObject(reply);
    }
    connection->asked = connection->executed = 0;
    return true;
}

bool redis_ping(struct redis *redis, struct err *err) {
    struct slice name = slice_of("PING");
    struct buffer bytes = {0};
    (void)err;
    encode(&bytes, &name, 1);
    struct connection *connection = &world->connections[redis->connection];
    wire_put(&connection->in, bytes.data, (int)bytes.len);
    connection->asked++;
    buffer_free(&bytes);
    return true;
}

int redis_subscription_socket(const struct redis *redis) {
    return redis->connection;
}
