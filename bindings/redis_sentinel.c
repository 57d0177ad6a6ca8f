#include "redis_sentinel.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "login.h"
#include "redis_command.h"

struct question {
    struct redis_address *address;
    const struct redis_place *sentinel;
    struct redis_link *link;
    bool login; /* the first reply is that to AUTH */
    bool *unfit;
};

static bool redis_sentinel_fail(const struct question *question, const char *reason,
                                struct err *err, const char *what, const char *detail) {
    question->link->reason = reason;
    return err_set(err, ERR_UNAVAILABLE, "the Sentinel %s:%d %s%s", question->sentinel->host,
                   question->sentinel->port, what, detail);
}

static bool redis_sentinel_take_error(const struct question *question, const redisReply *reply,
                                      struct err *err) {
    if (strncmp(reply->str, "ERR unknown command", 19) == 0) {
        *question->unfit = true;
        return redis_sentinel_fail(question, "redis.url names a server that is no Sentinel", err,
                                   "is none: name Sentinels, or use redis://", "");
    }
    return redis_sentinel_fail(question, "a Sentinel refuses the login or the command", err,
                               "refuses: see redis.sentinel_password: ", reply->str);
}

static bool redis_sentinel_take(void *context, size_t index, const redisReply *reply,
                                struct err *err) {
    const struct question *question = context;
    if (reply->type == REDIS_REPLY_ERROR) {
        return redis_sentinel_take_error(question, reply, err);
    }
    if (index == 0 && question->login) {
        return true;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        return redis_sentinel_fail(question, "the Sentinels do not know the primary of redis.url",
                                   err, "does not watch the primary ", question->address->primary);
    }
    struct redis_address *address = question->address;
    free(address->host);
    address->host = xstrndup(reply->element[0]->str, (size_t)reply->element[0]->len);
    address->port = atoi(reply->element[1]->str);
    return true;
}

static bool redis_sentinel_ask(struct question *question, int64_t deadline_us, struct err *err) {
    struct redis_link *link = question->link;
    struct redis_address sentinel = {.host = question->sentinel->host,
                                     .port = question->sentinel->port,
                                     .tls = question->address->tls};
    const struct slice args[] = {slice_of("SENTINEL"), slice_of("GET-MASTER-ADDR-BY-NAME"),
                                 slice_of(question->address->primary)};
    if (!redis_link_open(link, &sentinel, deadline_us, err)) {
        return false;
    }
    struct login_pair login = login_redis_sentinel(link->url);
    question->login = login.password && login.password[0];
    if (question->login) {
        redis_command_append_auth(&link->out, login.user, login.password);
    }
    login_pair_free(&login);
    redis_command_append(&link->out, args, 3);
    return redis_link_exchange(link, question->login ? 2 : 1, deadline_us, redis_sentinel_take,
                               question, err);
}

bool redis_sentinel_find(struct redis_link *link, struct redis_address *address, size_t *first,
                         bool *unfit, int64_t deadline_us, struct err *err) {
    size_t count = address->sentinel_count;
    for (size_t i = 0; i < count; i++) {
        size_t at = (*first + i) % count;
        int64_t now_us = clock_monotonic_us();
        int64_t share_us = (deadline_us - now_us) / (int64_t)(count - i);
        struct question question = {address, &address->sentinels[at], link, false, unfit};
        err_clear(err);
        if (redis_sentinel_ask(&question, now_us + share_us, err)) {
            *unfit = false;
            *first = at;
            return true;
        }
    }
    err->kind = ERR_UNAVAILABLE;
    return err_wrap(err, "no Sentinel names the primary of Redis");
}
