/* redis: exchanges on one connection, which redis_session.c opens. */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "redis.h"
#include "login.h"
#include "redis_command.h"
#include "redis_link.h"
#include "redis_refusal.h"
#include "redis_session.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 5000

/* A pipeline of commands. */
struct exchange {
    redis_on_reply on_reply;
    void *context;
    redisReply **replies; /* receives the replies; NULL: they are freed */
    size_t index;         /* of the next reply */
    size_t wanted;
    int64_t deadline_us;
};

struct redis {
    char *url;         /* of redis_create */
    char *present_url; /* with the present user and password; NULL before the first connect */
    struct redis_address address;
    int timeout_ms;
    struct redis_link link;
    struct redis_session session;
    atomic_uint changes; /* session.changes, for other threads */
    struct buffer queue; /* commands of the next exchange */
    size_t queued;
    struct exchange exchange;
    bool under_way; /* the exchange */
    bool all_sent;
    bool subscribed; /* after the last reply, input is for redis_receive */
    bool is_replica; /* a reply of the exchange said so */
    int backoff_ms;
    int64_t rest_until_us;
};

struct redis *redis_create(const char *url, int timeout_ms, struct err *err) {
    struct redis *redis = xcalloc(1, sizeof *redis);
    redis->url = xstrdup(url ? url : "");
    redis->timeout_ms = timeout_ms;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    redis->link.url = redis->url;
    redis->session.server = redis_server_of(redis->url);
    if (!redis_url_parse(redis->url, &redis->address, err) ||
        (redis->address.tls && !redis_link_check_files(&redis->link, err))) {
        redis_destroy(redis);
        return NULL;
    }
    return redis;
}

void redis_disconnect(struct redis *redis) {
    redis_link_close(&redis->link);
    redis->under_way = false;
    redis->subscribed = false;
}

void redis_destroy(struct redis *redis) {
    if (!redis) {
        return;
    }
    redis_link_free(&redis->link);
    buffer_free(&redis->queue);
    redis_address_free(&redis->address);
    redis_server_unref(redis->session.server);
    free(redis->url);
    free(redis->present_url);
    free(redis);
}

bool redis_connected(const struct redis *redis) {
    return redis->link.context != NULL;
}

bool redis_resting(const struct redis *redis) {
    return clock_monotonic_us() < redis->rest_until_us;
}

int redis_next_rest_ms(const struct redis *redis) {
    return redis->backoff_ms;
}

const char *redis_plain_reason(const struct redis *redis, const struct err *err) {
    if (err->kind == ERR_TIMEOUT) {
        return "Redis does not answer in time";
    }
    return redis->link.reason ? redis->link.reason : "Redis cannot be connected to, or asked";
}

/* ---- one exchange ------------------------------------------------------------------------- */

static void redis_clear_queue(struct redis *redis) {
    buffer_clear(&redis->queue);
    redis->queued = 0;
}

/* Starts the back-off, twice as long as the last one. */
static void redis_rest(struct redis *redis) {
    redis_disconnect(redis);
    redis->rest_until_us = clock_monotonic_us() + redis->backoff_ms * 1000LL;
    redis->backoff_ms =
        redis->backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : redis->backoff_ms * 2;
}

/* Returns false. */
static bool redis_give_up(struct redis *redis) {
    redis_clear_queue(redis);
    redis_rest(redis);
    return false;
}

bool redis_append(struct redis *redis, const struct slice *args, size_t count, struct err *err) {
    if (count == 0) {
        return err_set(err, ERR_INTERNAL, "a Redis command without a name");
    }
    redis_command_append(&redis->queue, args, count);
    redis->queued++;
    return true;
}

size_t redis_queued(const struct redis *redis) {
    return redis->queued;
}

static bool redis_open_session(struct redis *redis, int64_t deadline_us, struct err *err) {
    redis_disconnect(redis);
    redis_address_free(&redis->address);
    return redis_url_parse(redis->present_url, &redis->address, err) &&
           redis_session_open(&redis->session, &redis->link, &redis->address, deadline_us, err);
}

/* After a refused login it reads the configuration again and retries once with a changed login. */
static bool redis_reconnect(struct redis *redis, int64_t deadline_us, struct err *err) {
    free(redis->present_url);
    redis->present_url = login_url(LOGIN_REDIS, redis->url);
    if (redis_open_session(redis, deadline_us, err)) {
        return true;
    }
    if (!redis->session.refused ||
        !login_after_refusal(LOGIN_REDIS, redis->url, &redis->present_url)) {
        return false;
    }
    err_clear(err);
    return redis_open_session(redis, deadline_us, err);
}

static bool redis_take_reply(struct redis *redis, redisReply *reply, struct err *err) {
    struct exchange *exchange = &redis->exchange;
    if (exchange->index == exchange->wanted) {
        return err_set(err, ERR_UNAVAILABLE, "Redis sent a reply without a command");
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        redis->is_replica |= redis_refusal_note(reply->str);
    }
    if (exchange->on_reply) {
        exchange->on_reply(exchange->context, exchange->index, reply);
    }
    if (exchange->replies) {
        exchange->replies[exchange->index] = reply;
    }
    exchange->index++;
    return true;
}

static bool redis_take_replies(struct redis *redis, struct err *err) {
    while (!redis->subscribed || redis->exchange.index < redis->exchange.wanted) {
        redisReply *reply = NULL;
        if (!redis_link_next_reply(&redis->link, &reply, err)) {
            return false;
        }
        if (!reply) {
            return true;
        }
        bool ok = redis_take_reply(redis, reply, err);
        if (!ok && redis->exchange.replies) {
            freeReplyObject(reply);
        }
        redis_link_drop_reply(&redis->link);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* Reads while it writes: a server stops reading if its replies are not read. */
static bool redis_write_and_read(struct redis *redis, struct err *err) {
    return redis_link_write(&redis->link, &redis->all_sent, err) &&
           redis_link_read(&redis->link, err) && redis_take_replies(redis, err);
}

/* A replica was the primary before a failover, or the name of its host leads elsewhere by now: the
 * next exchange connects again. */
static void redis_end_exchange(struct redis *redis) {
    redis->under_way = false;
    if (redis->is_replica) {
        redis_rest(redis);
        return;
    }
    redis->backoff_ms = BACKOFF_FIRST_MS;
    redis->rest_until_us = 0;
}

enum redis_progress redis_progress(struct redis *redis, struct err *err) {
    const struct exchange *exchange = &redis->exchange;
    if (!redis->under_way) {
        return REDIS_DONE;
    }
    bool ok = redis_write_and_read(redis, err);
    if (ok && redis->all_sent && exchange->index == exchange->wanted) {
        redis_end_exchange(redis);
        return REDIS_DONE;
    }
    if (ok && clock_monotonic_us() < exchange->deadline_us) {
        return REDIS_PENDING;
    }
    if (ok) {
        err_set(err, ERR_TIMEOUT, REDIS_LINK_LATE);
    }
    redis_give_up(redis);
    return REDIS_FAILED;
}

bool redis_all_sent(const struct redis *redis) {
    return !redis->under_way || redis->all_sent;
}

int redis_socket(const struct redis *redis) {
    return redis->under_way ? redis->link.context->fd : -1;
}

short redis_poll_events(const struct redis *redis) {
    return redis_link_events(&redis->link);
}

bool redis_finish(struct redis *redis, struct err *err) {
    for (;;) {
        enum redis_progress progress = redis_progress(redis, err);
        if (progress != REDIS_PENDING) {
            return progress == REDIS_DONE;
        }
        struct pollfd fd = {redis_socket(redis), redis_poll_events(redis), 0};
        poll(&fd, 1, clock_remaining_ms(redis->exchange.deadline_us));
    }
}

bool redis_is_current(const struct redis *redis) {
    return atomic_load_explicit(&redis->changes, memory_order_acquire) ==
           redis_server_changes(redis->session.server);
}

/* Before an exchange: the server has closed the connection, or another one has taken over. */
static void redis_drop_if_outdated(struct redis *redis) {
    if (redis_connected(redis) &&
        (!redis_is_current(redis) || !redis_link_is_quiet(&redis->link))) {
        redis_disconnect(redis);
    }
}

static bool redis_ensure_connected(struct redis *redis, int64_t deadline_us, struct err *err) {
    redis_drop_if_outdated(redis);
    if (redis_connected(redis)) {
        return true;
    }
    if (redis_resting(redis)) {
        redis_clear_queue(redis);
        return err_set(err, ERR_UNAVAILABLE, "Redis failed a moment ago: waiting to reconnect");
    }
    if (!redis_reconnect(redis, deadline_us, err)) {
        return redis_give_up(redis);
    }
    atomic_store_explicit(&redis->changes, redis->session.changes, memory_order_release);
    return true;
}

static bool redis_begin_exchange(struct redis *redis, const struct exchange *exchange,
                                 int timeout_ms, struct err *err) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    if (redis->under_way) {
        return err_set(err, ERR_INTERNAL, "a Redis pipeline is already in progress");
    }
    if (redis->queued == 0) {
        return true;
    }
    if (!redis_ensure_connected(redis, deadline_us, err)) {
        return false;
    }
    struct buffer sent = redis->link.out; /* empty */
    redis->link.out = redis->queue;
    redis->queue = sent;
    redis->exchange = *exchange;
    redis->exchange.wanted = redis->queued;
    redis->exchange.deadline_us = deadline_us;
    redis_link_keep_replies(&redis->link, exchange->replies != NULL);
    redis->under_way = true;
    redis->all_sent = redis->is_replica = false;
    redis_clear_queue(redis);
    return true;
}

bool redis_begin(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err) {
    struct exchange exchange = {.on_reply = on_reply, .context = context};
    return redis_begin_exchange(redis, &exchange, redis->timeout_ms, err) &&
           redis_progress(redis, err) != REDIS_FAILED;
}

bool redis_run(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err) {
    struct exchange exchange = {.on_reply = on_reply, .context = context};
    return redis_begin_exchange(redis, &exchange, redis->timeout_ms, err) &&
           redis_finish(redis, err);
}

bool redis_run_within(struct redis *redis, int timeout_ms, redisReply **replies, struct err *err) {
    struct exchange exchange = {.replies = replies};
    int bound_ms = timeout_ms < redis->timeout_ms ? timeout_ms : redis->timeout_ms;
    return redis_begin_exchange(redis, &exchange, bound_ms, err) && redis_finish(redis, err);
}

/* ---- subscriptions -------------------------------------------------------------------------- */

bool redis_subscribe(struct redis *redis, const char *channel, redis_on_reply on_reply,
                     void *context, struct err *err) {
    struct exchange exchange = {.on_reply = on_reply, .context = context};
    struct slice args[] = {slice_of("SUBSCRIBE"), slice_of(channel)};
    if (!redis_append(redis, args, sizeof args / sizeof *args, err) ||
        !redis_begin_exchange(redis, &exchange, redis->timeout_ms, err)) {
        return false;
    }
    redis->subscribed = true;
    return redis_finish(redis, err);
}

bool redis_receive(struct redis *redis, redis_on_reply on_push, void *context, struct err *err) {
    if (!redis_is_current(redis)) {
        return err_set(err, ERR_UNAVAILABLE, "another server of Redis has taken over");
    }
    if (!redis_link_read(&redis->link, err)) {
        return false;
    }
    for (;;) {
        redisReply *reply = NULL;
        if (!redis_link_next_reply(&redis->link, &reply, err)) {
            return false;
        }
        if (!reply) {
            return true;
        }
        on_push(context, 0, reply);
        redis_link_drop_reply(&redis->link);
    }
}

bool redis_ping(struct redis *redis, struct err *err) {
    struct slice name = slice_of("PING");
    bool written = false;
    redis_command_append(&redis->link.out, &name, 1);
    return redis_link_write(&redis->link, &written, err) &&
           (written || err_set(err, ERR_UNAVAILABLE, "Redis does not read from the connection"));
}

int redis_subscription_socket(const struct redis *redis) {
    return redis->link.context->fd;
}

/* ---- at the start --------------------------------------------------------------------------- */

bool redis_check_server(const char *url, int timeout_ms, struct err *err) {
    struct redis *redis = redis_create(url, timeout_ms, err);
    struct slice ping = slice_of("PING");
    if (!redis) {
        return false;
    }
    redis->session.warns = true;
    bool ok = redis_append(redis, &ping, 1, err) && redis_run(redis, NULL, NULL, err);
    bool unfit = !ok && redis->session.unfit;
    redis_destroy(redis);
    if (!unfit) {
        err_clear(err);
        return true;
    }
    err->kind = ERR_INPUT;
    return false;
}
