/* subscriber: one thread and one connection of its own that hears other processes' invalidations.
 * Messages and replies come in order: the reply to a PING says that all is heard that was announced
 * before the PING was sent. While no subscription stands, the cache is bypassed. */
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../../bindings/redis.h"
#include "../../bindings/redis_refusal.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../base/xalloc.h"
#include "cache_internal.h"
#include "../../bindings/login.h"

#define PING_INTERVAL_US 200000
#define SILENCE_LIMIT_US 800000 /* below UNANNOUNCED_US of cache.c */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct subscriber {
    pthread_t thread;
    struct cache *cache;
    int stop_fd; /* readable once the thread shall end */
    int timeout_ms;
    char *url;
};

/* reply: NULL, where none came. */
static void note_refusal(const redisReply *reply) {
    if (reply && reply->type == REDIS_REPLY_ERROR) {
        redis_refusal_note(reply->str);
    }
}

static bool authenticate(const struct redis_address *address, redisContext *context) {
    if (!address->password) {
        return true;
    }
    redisReply *reply = *address->user
                            ? redisCommand(context, "AUTH %s %s", address->user, address->password)
                            : redisCommand(context, "AUTH %s", address->password);
    bool ok = reply && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return ok;
}

/* Channels are shared by all databases, what the greeting looks at is not. */
static bool select_database(const struct redis_address *address, redisContext *context) {
    if (address->db == 0) {
        return true;
    }
    redisReply *reply = redisCommand(context, "SELECT %d", address->db);
    bool ok = reply && reply->type == REDIS_REPLY_STATUS;
    note_refusal(reply);
    freeReplyObject(reply);
    return ok;
}

/* Before it is listened to: what this Redis holds may be older than what it held before it was
 * started again. */
static bool greet(struct subscriber *subscriber, redisContext *context) {
    const char *args[ANNOUNCE_GREETING_ARGS];
    memcpy(args, announce_greeting, sizeof args);
    redisReply *reply = redisCommandArgv(context, ANNOUNCE_GREETING_ARGS, args, NULL);
    bool ok = reply && reply->type == REDIS_REPLY_INTEGER;
    note_refusal(reply);
    if (ok && reply->integer == 1) {
        cache_forget(subscriber->cache, CACHE_DROP_REDIS_RESTARTED);
    }
    freeReplyObject(reply);
    return ok;
}

static redisContext *subscribe_at(struct subscriber *subscriber,
                                  const struct redis_address *address) {
    struct timeval timeout = {subscriber->timeout_ms / 1000, subscriber->timeout_ms % 1000 * 1000L};
    redisContext *context = redisConnectWithTimeout(address->host, address->port, timeout);
    if (!context) {
        return NULL;
    }
    if (!context->err && redisSetTimeout(context, timeout) == REDIS_OK &&
        authenticate(address, context) && select_database(address, context) &&
        greet(subscriber, context)) {
        redisReply *reply = redisCommand(context, "SUBSCRIBE " CACHE_CHANNEL);
        bool ok = reply && reply->type == REDIS_REPLY_ARRAY;
        note_refusal(reply);
        freeReplyObject(reply);
        if (ok) {
            return context;
        }
    }
    log_debug("cache: no subscription", LOG_TEXT("error", context->errstr));
    redisFree(context);
    return NULL;
}

/* With the login as it is now: one that was changed is found at the next try at the latest. */
static redisContext *subscribe(struct subscriber *subscriber) {
    struct redis_address address = {0};
    struct err err = {0};
    char *url = login_url(LOGIN_REDIS, subscriber->url);
    redisContext *context =
        redis_url_parse(url, &address, &err) ? subscribe_at(subscriber, &address) : NULL;
    redis_address_free(&address);
    free(url);
    return context;
}

struct listening {
    redisContext *context;
    int64_t pinged_us;
    bool awaits_pong;
};

static void apply_message(struct subscriber *subscriber, const redisReply *message) {
    size_t count = message->len / 8;
    if (count == 0) {
        cache_forget_as_told(subscriber->cache);
        return;
    }
    uint64_t *tags = xcalloc(count + 1, sizeof *tags);
    memcpy(tags, message->str, count * 8);
    for (size_t i = 0; i < count; i++) {
        tags[i] = be64toh(tags[i]);
    }
    cache_invalidate(subscriber->cache, tags, count);
    free(tags);
}

static void apply(struct subscriber *subscriber, struct listening *listening,
                  const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        return;
    }
    const char *kind = reply->element[0]->str;
    if (strcmp(kind, "pong") == 0) {
        listening->awaits_pong = false;
        cache_set_heard(subscriber->cache, listening->pinged_us);
    } else if (strcmp(kind, "message") == 0 && reply->elements == 3 &&
               reply->element[2]->type == REDIS_REPLY_STRING) {
        apply_message(subscriber, reply->element[2]);
    }
}

/* What is read already; false when the connection is lost. */
static bool apply_all(struct subscriber *subscriber, struct listening *listening) {
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(listening->context, &reply) != REDIS_OK) {
            return false;
        }
        if (!reply) {
            return true;
        }
        apply(subscriber, listening, reply);
        freeReplyObject(reply);
    }
}

static bool ping(redisContext *context) {
    int done = 0;
    if (redisAppendCommand(context, "PING") != REDIS_OK) {
        return false;
    }
    while (!done) {
        if (redisBufferWrite(context, &done) != REDIS_OK) {
            return false;
        }
    }
    return true;
}

/* False: nothing was heard for too long, or nothing can be sent. */
static bool ping_in_time(struct listening *listening) {
    int64_t now_us = clock_monotonic_us();
    if (listening->awaits_pong) {
        return now_us - listening->pinged_us <= SILENCE_LIMIT_US;
    }
    if (now_us - listening->pinged_us < PING_INTERVAL_US) {
        return true;
    }
    listening->pinged_us = now_us;
    listening->awaits_pong = true;
    return ping(listening->context);
}

/* Returns when the connection is lost (false) or the thread shall stop (true). */
static bool listen_until_lost(struct subscriber *subscriber, redisContext *context) {
    struct listening listening = {context, clock_monotonic_us(), false};
    struct pollfd fds[2] = {{.fd = subscriber->stop_fd, .events = POLLIN},
                            {.fd = context->fd, .events = POLLIN}};
    if (!apply_all(subscriber, &listening)) { /* what came along with the reply to SUBSCRIBE */
        return false;
    }
    while (ping_in_time(&listening)) {
        int64_t limit_us = listening.awaits_pong ? SILENCE_LIMIT_US : PING_INTERVAL_US;
        int ready = poll(fds, 2, clock_remaining_ms(listening.pinged_us + limit_us + 1));
        if (ready > 0 && fds[0].revents) {
            return true;
        }
        if (ready > 0 && fds[1].revents &&
            (redisBufferRead(context) != REDIS_OK || !apply_all(subscriber, &listening))) {
            return false;
        }
    }
    return false;
}

static void *subscriber_main(void *argument) {
    struct subscriber *subscriber = argument;
    struct pollfd stop = {.fd = subscriber->stop_fd, .events = POLLIN};
    int backoff_ms = BACKOFF_MIN_MS;
    for (;;) {
        redisContext *context = subscribe(subscriber);
        if (context) {
            backoff_ms = BACKOFF_MIN_MS;
            log_info("cache: subscribed to invalidations");
            cache_set_hearing(subscriber->cache, true);
            bool stopping = listen_until_lost(subscriber, context);
            redisFree(context);
            if (stopping) {
                return NULL;
            }
            cache_set_hearing(subscriber->cache, false);
            log_warning("cache: subscription lost, process level bypassed");
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
    free(subscriber->url);
    free(subscriber);
}

struct subscriber *subscriber_start(const char *url, int timeout_ms, struct cache *cache,
                                    struct err *err) {
    struct subscriber *subscriber = xcalloc(1, sizeof *subscriber);
    subscriber->cache = cache;
    subscriber->timeout_ms = timeout_ms;
    subscriber->stop_fd = eventfd(0, EFD_CLOEXEC);
    subscriber->url = xstrdup(url);
    struct redis_address address = {0};
    bool ok = redis_url_parse(url, &address, err);
    redis_address_free(&address);
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
