/* subscriber: receives invalidations from other processes, on a thread and a connection of its own.
 * Redis sends messages and replies in order: after the reply to a PING, all invalidations announced
 * before the PING have arrived. Without a subscription the cache is bypassed. */
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bindings/redis.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "cache_internal.h"

#define PING_INTERVAL_US 200000
#define SILENCE_LIMIT_US 800000 /* below UNANNOUNCED_US of cache.c */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct subscriber {
    pthread_t thread;
    struct cache *cache;
    struct redis *redis;
    int stop_fd;       /* readable: the thread ends */
    int64_t pinged_us; /* when the last PING was sent */
    bool awaits_pong;
    bool was_greeted; /* by this process; a Redis without a run id has lost it since */
};

/* ---- the subscription ---------------------------------------------------------------------- */

struct subscriber_replies {
    bool subscribed;
    int64_t greeting; /* -1: no reply */
};

static void subscriber_take_reply(void *context, size_t index, const redisReply *reply) {
    struct subscriber_replies *replies = context;
    if (index == 0 && reply->type == REDIS_REPLY_INTEGER) {
        replies->greeting = reply->integer;
    } else if (index == 1) {
        replies->subscribed = reply->type == REDIS_REPLY_ARRAY;
    }
}

/* Sends the greeting first, on the same connection: a restarted Redis may hold old responses. */
static bool subscriber_subscribe(struct subscriber *subscriber) {
    struct subscriber_replies replies = {.greeting = -1};
    struct slice greeting[ANNOUNCE_GREETING_ARGS];
    struct err err = {0};
    for (size_t i = 0; i < ANNOUNCE_GREETING_ARGS; i++) {
        greeting[i] = slice_of(announce_greeting[i]);
    }
    bool ok =
        redis_append(subscriber->redis, greeting, ANNOUNCE_GREETING_ARGS, &err) &&
        redis_subscribe(subscriber->redis, CACHE_CHANNEL, subscriber_take_reply, &replies, &err);
    if (replies.greeting == ANNOUNCE_OTHER_RUN ||
        (replies.greeting == ANNOUNCE_NO_RUN && subscriber->was_greeted)) {
        cache_drop_all(subscriber->cache, CACHE_DROP_REDIS_RESTARTED);
    }
    subscriber->was_greeted |= replies.greeting >= 0;
    if (ok && replies.greeting >= 0 && replies.subscribed) {
        return true;
    }
    log_debug("cache could not subscribe to invalidations", LOG_TEXT("error", err.text));
    redis_disconnect(subscriber->redis);
    return false;
}

/* ---- listening ----------------------------------------------------------------------------- */

/* False: it is no position. One that cannot be read is of another release. */
static bool subscriber_apply_position(struct subscriber *subscriber, const redisReply *message) {
    if (message->len != CACHE_POSITION_BYTES || message->str[0] != CACHE_POSITION_MARK) {
        return false;
    }
    char view[17];
    snprintf(view, sizeof view, "%.16s", message->str + 1);
    cache_note_position(subscriber->cache, strtoull(view, NULL, 16),
                        (struct slice){message->str + sizeof view, PG_POSITION_DIGITS});
    return true;
}

/* The tags of an announcement with this process' id are pending here: nothing outdated was taken
 * from Redis since their invalidation, and what was computed since is kept. */
static void subscriber_invalidate(struct subscriber *subscriber, const uint64_t *tags,
                                  size_t count) {
    if (tags[count - 1] != subscriber->cache->id) {
        cache_invalidate(subscriber->cache, tags, count);
    }
}

static void subscriber_apply_message(struct subscriber *subscriber, const redisReply *message) {
    size_t count = message->len / 8;
    if (subscriber_apply_position(subscriber, message)) {
        return;
    }
    if (count == 0) {
        cache_drop_uncounted(subscriber->cache);
        return;
    }
    uint64_t *tags = xcalloc(count + 1, sizeof *tags);
    memcpy(tags, message->str, count * 8);
    for (size_t i = 0; i < count; i++) {
        tags[i] = be64toh(tags[i]);
    }
    subscriber_invalidate(subscriber, tags, count);
    free(tags);
}

static void subscriber_apply(void *context, size_t index, const redisReply *reply) {
    struct subscriber *subscriber = context;
    (void)index;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        return;
    }
    const char *kind = reply->element[0]->str;
    if (strcmp(kind, "pong") == 0) {
        subscriber->awaits_pong = false;
        cache_set_received(subscriber->cache, subscriber->pinged_us);
    } else if (strcmp(kind, "message") == 0 && reply->elements == 3 &&
               reply->element[2]->type == REDIS_REPLY_STRING) {
        subscriber_apply_message(subscriber, reply->element[2]);
    }
}

/* False: no reply within SILENCE_LIMIT_US, or sending failed. */
static bool subscriber_ping_in_time(struct subscriber *subscriber, struct err *err) {
    int64_t now_us = clock_monotonic_us();
    if (subscriber->awaits_pong) {
        return now_us - subscriber->pinged_us <= SILENCE_LIMIT_US ||
               err_set(err, ERR_TIMEOUT, "Redis does not reply to PING");
    }
    if (now_us - subscriber->pinged_us < PING_INTERVAL_US) {
        return true;
    }
    subscriber->pinged_us = now_us;
    subscriber->awaits_pong = true;
    return redis_ping(subscriber->redis, err);
}

/* Returns when the connection is lost (false) or the thread is to stop (true). */
static bool subscriber_listen_until_lost(struct subscriber *subscriber, struct err *err) {
    struct pollfd fds[2] = {{.fd = subscriber->stop_fd, .events = POLLIN},
                            {.fd = redis_subscription_socket(subscriber->redis), .events = POLLIN}};
    subscriber->pinged_us = clock_monotonic_us();
    subscriber->awaits_pong = false;
    /* Messages may arrive with the reply to SUBSCRIBE. */
    while (redis_receive(subscriber->redis, subscriber_apply, subscriber, err) &&
           subscriber_ping_in_time(subscriber, err)) {
        int64_t limit_us = subscriber->awaits_pong ? SILENCE_LIMIT_US : PING_INTERVAL_US;
        int ready = poll(fds, 2, clock_remaining_ms(subscriber->pinged_us + limit_us + 1));
        if (ready > 0 && fds[0].revents) {
            return true;
        }
    }
    return false;
}

static void *subscriber_main(void *argument) {
    struct subscriber *subscriber = argument;
    struct pollfd stop = {.fd = subscriber->stop_fd, .events = POLLIN};
    int backoff_ms = BACKOFF_MIN_MS;
    for (;;) {
        if (subscriber_subscribe(subscriber)) {
            struct err err = {0};
            backoff_ms = BACKOFF_MIN_MS;
            log_info("cache subscribed to invalidations");
            cache_set_subscribed(subscriber->cache, true);
            bool stopping = subscriber_listen_until_lost(subscriber, &err);
            redis_disconnect(subscriber->redis);
            if (stopping) {
                return NULL;
            }
            cache_set_subscribed(subscriber->cache, false);
            log_warning(
                "cache lost its subscription: responses come from the database until it is back",
                LOG_TEXT("error", err.text));
        }
        if (poll(&stop, 1, backoff_ms) > 0) {
            return NULL;
        }
        backoff_ms = backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff_ms * 2;
    }
}

static void subscriber_free(struct subscriber *subscriber) {
    if (subscriber->stop_fd >= 0) {
        close(subscriber->stop_fd);
    }
    redis_destroy(subscriber->redis);
    free(subscriber);
}

struct subscriber *subscriber_start(const char *url, int timeout_ms, struct cache *cache,
                                    struct err *err) {
    struct subscriber *subscriber = xcalloc(1, sizeof *subscriber);
    subscriber->cache = cache;
    subscriber->stop_fd = eventfd(0, EFD_CLOEXEC);
    subscriber->redis = redis_create(url, timeout_ms, err);
    bool ok = subscriber->redis != NULL;
    if (ok && (subscriber->stop_fd < 0 ||
               pthread_create(&subscriber->thread, NULL, subscriber_main, subscriber) != 0)) {
        ok = err_set(err, ERR_INTERNAL, "cannot start the cache's subscriber thread");
    }
    if (!ok) {
        subscriber_free(subscriber);
        return NULL;
    }
    return subscriber;
}

void subscriber_stop(struct subscriber *subscriber) {
    if (!subscriber) {
        return;
    }
    eventfd_write(subscriber->stop_fd, 1);
    pthread_join(subscriber->thread, NULL);
    subscriber_free(subscriber);
}

bool subscriber_is_current(const struct subscriber *subscriber) {
    return redis_is_current(subscriber->redis);
}
