/* shared: reads and stores responses in Redis. announce.c lists the other keys.
 *   KEY                    the response's JSON, nothing else
 *   ras:cache:tags:KEY     8 bytes each, big-endian: the header (below), then the response's tags:
 *                          a process that reads the response can then drop it by tag
 *
 * Invalidations are many and stores few: a store checks all tags invalidated since its response was
 * begun, so that an invalidation writes nothing for each tag. */
#include <endian.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bindings/pg_reads.h"
#include "bindings/redis.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/request_steps.h"
#include "base/xalloc.h"
#include "cache_internal.h"

#define POOL_SIZE 8
/* Tags that a store checks, without the ids of announcers: about 1 ms of Redis' time. */
#define LOOKED_AT "4000"

/* The numbers in front of an entry's tags. A response whose bytes are not those that the header
 * names was damaged, or written by another program. */
enum header {
    HEADER_SEQUENCE, /* before the query */
    HEADER_SCRIPTS,  /* hash of the scripts */
    HEADER_VIEW,     /* id of the database */
    HEADER_LENGTH,   /* of the body in bytes */
    HEADER_HASH,     /* hash64 of the body */
    HEADER_NUMBERS
};
#define TAGS_AT "41" /* where the tags begin for Lua, which counts from 1 */
_Static_assert(8 * HEADER_NUMBERS + 1 == 41, "TAGS_AT is behind the header");

/* Stores nothing if, since `began`, the number decreased (Redis lost its memory), everything was
 * dropped or a tag was invalidated; also if the invalidations since then are missing or too many to
 * check. The dependency set outlives its members. */
static const char STORE_SCRIPT[] =
    "local began = tonumber(ARGV[3])\n"
    "local seq = tonumber(redis.call('GET', KEYS[3]) or '0')\n"
    "if seq < began then return 0 end\n"
    "if tonumber(redis.call('GET', '" CACHE_FLOOR_KEY "') or '0') > began then return 0 end\n"
    "if seq > began then\n"
    "  local since = '(' .. ARGV[3]\n"
    "  local count = redis.call('ZCOUNT', KEYS[4], since, '+inf')\n"
    "  if count == 0 or count == " CACHE_RECENT " then return 0 end\n"
    "  local tags, looked_at = {}, 0\n"
    "  for at = " TAGS_AT ", #ARGV[4], 8 do tags[string.sub(ARGV[4], at, at + 7)] = true end\n"
    "  for first = 0, count - 1, 10 do\n"
    "    local some = redis.call('ZRANGEBYSCORE', KEYS[4], since, '+inf', 'LIMIT', first, 10)\n"
    "    for _, invalidation in ipairs(some) do\n"
    "      looked_at = looked_at + (#invalidation - 24) / 8\n"
    "      if looked_at > " LOOKED_AT " then return 0 end\n"
    "      for at = 17, #invalidation, 8 do\n"
    "        if tags[string.sub(invalidation, at, at + 7)] then return 0 end\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])\n"
    "redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[2])\n"
    "for i = 5, #KEYS do\n"
    "  redis.call('SADD', KEYS[i], KEYS[1])\n"
    "  redis.call('EXPIRE', KEYS[i], ARGV[2] + 60)\n"
    "end\n"
    "return 1\n";

/* Connections for readers. The last used is taken first, so that one connection's open breaker
 * counts for all. */
struct shared {
    pthread_mutex_t lock;
    char *url;
    int timeout_ms;
    struct redis *idle[POOL_SIZE];
    size_t idle_count;
    size_t made;
    struct metric_cell *damaged;
};

struct shared *shared_create(const char *url, int timeout_ms, struct err *err) {
    struct redis *first = redis_create(url, timeout_ms, err);
    if (!first) {
        return NULL;
    }
    struct shared *shared = xcalloc(1, sizeof *shared);
    pthread_mutex_init(&shared->lock, NULL);
    shared->url = xstrdup(url);
    shared->timeout_ms = timeout_ms;
    shared->idle[shared->idle_count++] = first;
    shared->made = 1;
    shared->damaged = metric_single(METRIC_COUNTER, "ras_cache_damaged_total",
                                    "Responses in Redis with damaged bytes: counted as misses.");
    return shared;
}

void shared_destroy(struct shared *shared) {
    if (!shared) {
        return;
    }
    for (size_t i = 0; i < shared->idle_count; i++) {
        redis_destroy(shared->idle[i]);
    }
    pthread_mutex_destroy(&shared->lock);
    free(shared->url);
    free(shared);
}

static struct redis *shared_take_any(struct shared *shared) {
    struct redis *redis = NULL;
    pthread_mutex_lock(&shared->lock);
    if (shared->idle_count > 0) {
        if (!redis_resting(shared->idle[shared->idle_count - 1])) {
            redis = shared->idle[--shared->idle_count];
        }
    } else if (shared->made < POOL_SIZE) {
        struct err ignored = {0};
        redis = redis_create(shared->url, shared->timeout_ms, &ignored);
        shared->made += redis ? 1 : 0;
    }
    pthread_mutex_unlock(&shared->lock);
    return redis;
}

/* A connection with part of a queued pipeline is closed: its replies would be miscounted. */
static void shared_give_back(struct shared *shared, struct redis *redis, bool usable) {
    pthread_mutex_lock(&shared->lock);
    if (usable) {
        shared->idle[shared->idle_count++] = redis;
    } else {
        shared->made--;
    }
    pthread_mutex_unlock(&shared->lock);
    if (!usable) {
        redis_destroy(redis);
    }
}

static void shared_note_failure(const struct err *err) {
    log_debug("cache could not use Redis", LOG_TEXT("error", err->text));
}

/* NULL: the breaker is open or every connection is busy; the database is faster then. */
static struct redis *shared_take(struct shared *shared) {
    struct redis *redis = shared_take_any(shared);
    struct err err = {0};
    if (redis && !redis_finish(redis, &err)) { /* the reply to shared_put */
        shared_note_failure(&err);
        shared_give_back(shared, redis, true);
        redis = NULL;
    }
    return redis;
}

/* Sends without waiting for the reply, which shared_take reads. Waits only if the socket does not
 * take the whole command. */
static void shared_send_away(struct shared *shared, struct redis *redis, const struct slice *args,
                             size_t count, redis_on_reply on_reply) {
    struct err err = {0};
    bool queued = redis_append(redis, args, count, &err);
    bool ok = queued && redis_begin(redis, on_reply, NULL, &err) &&
              (redis_all_sent(redis) || redis_finish(redis, &err));
    shared_give_back(shared, redis, queued);
    if (!ok) {
        shared_note_failure(&err);
    }
}

static char *shared_tags_key(struct slice key, size_t *len) {
    *len = sizeof CACHE_TAGS_PREFIX - 1 + key.len;
    char *text = xcalloc(1, *len + 1);
    memcpy(text, CACHE_TAGS_PREFIX, sizeof CACHE_TAGS_PREFIX - 1);
    memcpy(text + sizeof CACHE_TAGS_PREFIX - 1, key.data, key.len);
    return text;
}

static bool shared_is_text(const redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING;
}

static uint64_t shared_number_at(const char *bytes, size_t index) {
    uint64_t number;
    memcpy(&number, bytes + 8 * index, 8);
    return be64toh(number);
}

struct lookup {
    struct shared *shared;
    const struct cache_key *key;
    uint64_t view;
    struct shared_hit *hit;
    struct pg_position announced;
};

/* NULL, and counted, if length or hash differ from the header. */
static struct cached_response *shared_check_body(const struct lookup *lookup,
                                                 const redisReply *body, const char *header) {
    struct cached_response *response =
        cached_response_create(200, (struct slice){body->str, body->len});
    if (response->hash == shared_number_at(header, HEADER_HASH) &&
        body->len == shared_number_at(header, HEADER_LENGTH)) {
        return response;
    }
    cached_response_unref(response);
    metric_add(lookup->shared->damaged, 1);
    return NULL;
}

static void shared_read_entry(const struct lookup *lookup, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        !shared_is_text(reply->element[0]) || !shared_is_text(reply->element[1])) {
        return;
    }
    const redisReply *body = reply->element[0], *tags = reply->element[1];
    const redisReply *floor = reply->element[2];
    if (tags->len < 8 * (HEADER_NUMBERS + 1) || tags->len % 8 != 0 ||
        shared_number_at(tags->str, HEADER_SCRIPTS) != lookup->key->scripts ||
        shared_number_at(tags->str, HEADER_VIEW) != lookup->view) {
        return;
    }
    uint64_t began = shared_number_at(tags->str, HEADER_SEQUENCE);
    if (shared_is_text(floor) && began < strtoull(floor->str, NULL, 10)) {
        return;
    }
    struct shared_hit *hit = lookup->hit;
    hit->response = shared_check_body(lookup, body, tags->str);
    if (!hit->response) {
        return;
    }
    hit->tag_count = tags->len / 8 - HEADER_NUMBERS;
    hit->tags = xcalloc(hit->tag_count, sizeof *hit->tags);
    for (size_t i = 0; i < hit->tag_count; i++) {
        hit->tags[i] = shared_number_at(tags->str, i + HEADER_NUMBERS);
    }
}

static void shared_on_get_reply(void *context, size_t index, const redisReply *reply) {
    struct lookup *lookup = context;
    struct shared_hit *hit = lookup->hit;
    if (index == 0) {
        hit->sequence = shared_is_text(reply) ? strtoull(reply->str, NULL, 10) : 0;
        hit->reachable = shared_is_text(reply) || reply->type == REDIS_REPLY_NIL;
    } else if (index == 1) {
        shared_read_entry(lookup, reply);
    } else if (index == 3) { /* what a replica must have replayed to be asked now */
        if (shared_is_text(reply)) {
            pg_position_parse((struct slice){reply->str, reply->len}, &lookup->announced);
        }
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        /* Redis has it until it is served no more: shared_put. */
        hit->lifetime_us = (reply->integer - cache_stale_s(&lookup->key->ages) * 1000LL) * 1000;
    }
}

static void shared_look_up(struct shared *shared, const struct cache_key *key, uint64_t view,
                           struct shared_hit *hit) {
    struct lookup lookup = {.shared = shared, .key = key, .view = view, .hit = hit};
    char announced[CACHE_ANNOUNCED_KEY_BYTES];
    *hit = (struct shared_hit){0};
    struct redis *redis = shared_take(shared);
    if (!redis) {
        return;
    }
    size_t tags_len;
    char *tags = shared_tags_key(key->text, &tags_len);
    struct err err = {0};
    /* The sequence first: it must not be newer than what is read after it. */
    struct slice sequence[] = {slice_of("GET"), slice_of(CACHE_SEQ_KEY)};
    struct slice entry[] = {
        slice_of("MGET"), key->text, {tags, tags_len}, slice_of(CACHE_FLOOR_KEY)};
    struct slice rest[] = {slice_of("PTTL"), key->text};
    struct slice position[] = {slice_of("HGET"), cache_announced_key(view, announced),
                               slice_of(CACHE_POSITION_FIELD)};
    bool queued = redis_append(redis, sequence, 2, &err) && redis_append(redis, entry, 4, &err) &&
                  redis_append(redis, rest, 2, &err) &&
                  (!pg_reads_on() || redis_append(redis, position, 3, &err));
    bool ok = queued && redis_run(redis, shared_on_get_reply, &lookup, &err);
    shared_give_back(shared, redis, queued);
    if (ok && lookup.announced.timeline > 0) {
        pg_reads_announce(lookup.announced);
    }
    if (!ok) {
        shared_note_failure(&err);
        cached_response_unref(hit->response);
        free(hit->tags);
        *hit = (struct shared_hit){0};
    }
    free(tags);
}

void shared_get(struct shared *shared, const struct cache_key *key, uint64_t view,
                struct shared_hit *hit) {
    int64_t began_us = clock_monotonic_us();
    shared_look_up(shared, key, view, hit);
    request_steps_add(REQUEST_CACHE, began_us);
}

/* The arguments of one script call, with their memory. */
struct call {
    struct slice *args;
    char (*deps)[CACHE_DEP_KEY_BYTES];
    uint64_t *wire; /* the header, then the tags */
};

static struct call shared_call_create(const uint64_t header[HEADER_NUMBERS], const uint64_t *tags,
                                      size_t count) {
    struct call call = {
        .args = xcalloc(count + 16, sizeof *call.args),
        .deps = xcalloc(count, sizeof *call.deps),
        .wire = xcalloc(count + HEADER_NUMBERS, sizeof *call.wire),
    };
    for (size_t i = 0; i < HEADER_NUMBERS; i++) {
        call.wire[i] = htobe64(header[i]);
    }
    for (size_t i = 0; i < count; i++) {
        call.wire[i + HEADER_NUMBERS] = htobe64(tags[i]);
    }
    return call;
}

static void shared_on_put_reply(void *context, size_t index, const redisReply *reply) {
    (void)context, (void)index;
    if (reply->type == REDIS_REPLY_ERROR) {
        log_warning("Redis refused to store a response: see the error and Redis' memory",
                    LOG_TEXT("error", reply->str));
    }
}

void shared_put(struct shared *shared, const struct cache_key *key, uint64_t view,
                const struct shared_hit *hit, int lifetime_s) {
    const uint64_t header[HEADER_NUMBERS] = {
        [HEADER_SEQUENCE] = hit->sequence,
        [HEADER_SCRIPTS] = key->scripts,
        [HEADER_VIEW] = view,
        [HEADER_HASH] = hit->response->hash,
        [HEADER_LENGTH] = hit->response->body.len,
    };
    size_t count = hit->tag_count;
    struct redis *redis = shared_take(shared);
    if (!redis) {
        return;
    }
    char keys[24], ttl[16], began[24];
    snprintf(keys, sizeof keys, "%zu", count + 4);
    snprintf(ttl, sizeof ttl, "%d", lifetime_s);
    snprintf(began, sizeof began, "%" PRIu64, hit->sequence);
    size_t tags_len, n = 0;
    char *tags_name = shared_tags_key(key->text, &tags_len);
    struct call call = shared_call_create(header, hit->tags, count);
    struct slice *args = call.args;
    args[n++] = slice_of("EVAL");
    args[n++] = slice_of(STORE_SCRIPT);
    args[n++] = slice_of(keys);
    args[n++] = key->text;
    args[n++] = (struct slice){tags_name, tags_len};
    args[n++] = slice_of(CACHE_SEQ_KEY);
    args[n++] = slice_of(CACHE_RECENT_KEY);
    for (size_t i = 0; i < count; i++) {
        args[n++] = cache_dep_key(hit->tags[i], call.deps[i]);
    }
    args[n++] = hit->response->body;
    args[n++] = slice_of(ttl);
    args[n++] = slice_of(began);
    args[n++] =
        (struct slice){(const char *)call.wire, (count + HEADER_NUMBERS) * sizeof *call.wire};
    shared_send_away(shared, redis, args, n, shared_on_put_reply);
    free(call.args);
    free(call.deps);
    free(call.wire);
    free(tags_name);
}
