#include "redis_replies.h"

/* A reader allocates an array when it has read no more than its length: a damaged length may not
 * end the process. */
#define ELEMENTS_MOST (16 * 1024 * 1024)

static void *redis_replies_keep(const redisReadTask *task, redisReply *reply) {
    redisReply *parent = task->parent ? task->parent->obj : NULL;
    if (parent) {
        parent->element[task->idx] = reply;
    }
    return reply;
}

static void *redis_replies_make(const redisReadTask *task, redisReply fields) {
    redisReply *reply = arena_alloc(task->privdata, sizeof *reply);
    *reply = fields;
    return redis_replies_keep(task, reply);
}

static void *redis_replies_create_string(const redisReadTask *task, char *text, size_t len) {
    struct slice copy = arena_copy(task->privdata, (struct slice){text, len});
    return redis_replies_make(
        task, (redisReply){.type = task->type, .str = (char *)copy.data, .len = len});
}

/* NULL: hiredis reports that memory is missing, and the connection is closed. */
static void *redis_replies_create_array(const redisReadTask *task, int elements) {
    if (elements > ELEMENTS_MOST) {
        return NULL;
    }
    size_t bytes = (size_t)elements * sizeof(redisReply *);
    redisReply **element = arena_alloc(task->privdata, bytes);
    memset(element, 0, bytes);
    return redis_replies_make(
        task, (redisReply){.type = task->type, .element = element, .elements = (size_t)elements});
}

static void *redis_replies_create_integer(const redisReadTask *task, long long value) {
    return redis_replies_make(task, (redisReply){.type = task->type, .integer = value});
}

/* All of them are one: a look-up of new ids is a list of nothing else. */
static void *redis_replies_create_nil(const redisReadTask *task) {
    static redisReply nil = {.type = REDIS_REPLY_NIL};
    return redis_replies_keep(task, &nil);
}

static void redis_replies_free(void *reply) {
    (void)reply; /* arena_reset does */
}

void redis_replies_use_arena(redisReader *reader, struct arena *arena) {
    static redisReplyObjectFunctions functions = {
        redis_replies_create_string, redis_replies_create_array, redis_replies_create_integer,
        redis_replies_create_nil,    redis_replies_free,
    };
    reader->fn = &functions;
    reader->privdata = arena;
}
