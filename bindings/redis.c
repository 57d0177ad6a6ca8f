/* redis: writes commands in RESP (length-prefixed, so that arguments are binary-safe); hiredis
 * reads the replies. */
#include <poll.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/xalloc.h"
#include "redis.h"
#include "redis_link.h"
#include "redis_refusal.h"
#include "login.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 5000
#define LENGTH_BYTES (1 + NUMBER_DIGITS_MOST + 2) /* a mark, the digits, CR and LF */

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
    struct buffer queue; /* commands of the next exchange */
    size_t queued;
    struct exchange exchange;
    bool under_way; /* the exchange */
    bool all_sent;
    bool subscribed; /* after the last reply, input is for redis_receive */
    int backoff_ms;
    int64_t rest_until_us;
};

struct redis *redis_create(const char *url, int timeout_ms, struct err *err) {
    struct redis *redis = xcalloc(1, sizeof *redis);
    redis->url = xstrdup(url ? url : "");
    redis->timeout_ms = timeout_ms;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    redis->link.url = redis->url;
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

/* Starts the back-off, twice as long as the last one. Returns false. */
static bool redis_give_up(struct redis *redis) {
    redis_clear_queue(redis);
    redis_disconnect(redis);
    redis->rest_until_us = clock_monotonic_us() + redis->backoff_ms * 1000LL;
    redis->backoff_ms =
        redis->backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : redis->backoff_ms * 2;
    return false;
}

/* Not printf: a batch of events sends tens of thousands of lengths. */
static void redis_append_length(struct buffer *out, char mark, size_t length) {
    char text[LENGTH_BYTES], *at = text + sizeof text;
    *--at = '\n';
    *--at = '\r';
    at = number_put_before(at, length);
    *--at = mark;
    buffer_append(out, at, (size_t)(text + sizeof text - at));
}

static void redis_format_command(struct buffer *out, const struct slice *args, size_t count) {
    redis_append_length(out, '*', count);
    for (size_t i = 0; i < count; i++) {
        redis_append_length(out, '$', args[i].len);
        buffer_append(out, args[i].data, args[i].len);
        buffer_append(out, "\r\n", 2);
    }
}

bool redis_append(struct redis *redis, const struct slice *args, size_t count, struct err *err) {
    if (count == 0) {
        return err_set(err, ERR_INTERNAL, "a Redis command without a name");
    }
    redis_format_command(&redis->queue, args, count);
    redis->queued++;
    return true;
}

/* Queues AUTH and SELECT if they are needed; returns their number. */
static size_t redis_queue_setup(struct redis *redis) {
    struct buffer *out = &redis->link.out;
    size_t commands = 0;
    const struct redis_address *address = &redis->address;
    if (address->password) {
        struct slice args[3] = {slice_of("AUTH")};
        size_t count = 1;
        if (*address->user) {
            args[count++] = slice_of(address->user);
        }
        args[count++] = slice_of(address->password);
        redis_format_command(out, args, count);
        commands++;
    }
    if (address->db > 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", address->db);
        struct slice args[2] = {slice_of("SELECT"), slice_of(number)};
        redis_format_command(out, args, 2);
        commands++;
    }
    return commands;
}

/* Reads the received replies to AUTH and SELECT. */
static bool redis_take_setup(struct redis *redis, size_t *missing, bool *refused, struct err *err) {
    while (*missing > 0 && !*refused) {
        redisReply *status = NULL;
        if (!redis_link_next_reply(&redis->link, &status, err)) {
            return false;
        }
        if (!status) {
            return true;
        }
        *refused = status->type == REDIS_REPLY_ERROR;
        if (*refused) {
            redis->link.reason = "Redis refuses the login or the database";
            err_set(err, ERR_UNAVAILABLE, "Redis refuses the session: %s", status->str);
        }
        redis_link_drop_reply(&redis->link);
        --*missing;
    }
    return !*refused;
}

/* Commands are sent after the setup: a refused login leaves no unknown outcome. */
static bool redis_set_up(struct redis *redis, int64_t deadline_us, bool *refused, struct err *err) {
    size_t missing = redis_queue_setup(redis);
    bool written;
    while (missing > 0) {
        if (!redis_link_write(&redis->link, &written, err) ||
            !redis_link_wait(&redis->link, redis_link_events(&redis->link), deadline_us, err) ||
            !redis_link_read(&redis->link, err) ||
            !redis_take_setup(redis, &missing, refused, err)) {
            return false;
        }
    }
    return true;
}

static bool redis_open_session(struct redis *redis, int64_t deadline_us, bool *refused,
                               struct err *err) {
    redis_disconnect(redis);
    redis_address_free(&redis->address);
    return redis_url_parse(redis->present_url, &redis->address, err) &&
           redis_link_open(&redis->link, &redis->address, deadline_us, err) &&
           redis_set_up(redis, deadline_us, refused, err);
}

/* After a refused login it reads the configuration again and retries once with a changed login. */
static bool redis_reconnect(struct redis *redis, int64_t deadline_us, struct err *err) {
    bool refused = false;
    free(redis->present_url);
    redis->present_url = login_url(LOGIN_REDIS, redis->url);
    if (redis_open_session(redis, deadline_us, &refused, err)) {
        return true;
    }
    if (!refused || !login_after_refusal(LOGIN_REDIS, redis->url, &redis->present_url)) {
        return false;
    }
    err_clear(err);
    refused = false;
    return redis_open_session(redis, deadline_us, &refused, err);
}

static bool redis_take_reply(struct redis *redis, redisReply *reply, struct err *err) {
    struct exchange *exchange = &redis->exchange;
    if (exchange->index == exchange->wanted) {
        return err_set(err, ERR_UNAVAILABLE, "Redis sent a reply without a command");
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_refusal_note(reply->str);
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

enum redis_progress redis_progress(struct redis *redis, struct err *err) {
    const struct exchange *exchange = &redis->exchange;
    if (!redis->under_way) {
        return REDIS_DONE;
    }
    bool ok = redis_write_and_read(redis, err);
    if (ok && redis->all_sent && exchange->index == exchange->wanted) {
        redis->under_way = false;
        redis->backoff_ms = BACKOFF_FIRST_MS;
        redis->rest_until_us = 0;
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

/* Detects before an exchange that the server has closed the connection. */
static void redis_drop_if_closed(struct redis *redis) {
    if (redis_connected(redis) && !redis_link_is_quiet(&redis->link)) {
        redis_disconnect(redis);
    }
}

static bool redis_ensure_connected(struct redis *redis, int64_t deadline_us, struct err *err) {
    redis_drop_if_closed(redis);
    if (redis_connected(redis)) {
        return true;
    }
    if (redis_resting(redis)) {
        redis_clear_queue(redis);
        return err_set(err, ERR_UNAVAILABLE, "Redis failed a moment ago: waiting to reconnect");
    }
    return redis_reconnect(redis, deadline_us, err) || redis_give_up(redis);
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
    redis->all_sent = false;
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
    redis_format_command(&redis->link.out, &name, 1);
    return redis_link_write(&redis->link, &written, err) &&
           (written || err_set(err, ERR_UNAVAILABLE, "Redis does not read from the connection"));
}

int redis_subscription_socket(const struct redis *redis) {
    return redis->link.context->fd;
}
