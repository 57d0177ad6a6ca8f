#include "redis_link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "host_lookup.h"
#include "login.h"
#include "redis_replies.h"
#include "tls.h"

#define READ_BYTES 16384    /* one record of TLS */
#define REPLY_BYTES 65536UL /* of a chunk: a batch's look-up of processed ids */

/* ---- reading and writing -------------------------------------------------------------------- */

static bool redis_link_is_pending(int code) {
    return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

static enum tls_result redis_link_fail(int code, struct err *err) {
    err_set(err, ERR_UNAVAILABLE, "%s", strerror(code));
    return TLS_FAILED;
}

static enum tls_result redis_link_send(struct redis_link *link, const char *from, size_t len,
                                       size_t *sent, struct err *err) {
    if (link->tls) {
        return tls_session_write(link->tls, from, len, sent, err);
    }
    ssize_t count = send(link->context->fd, from, len, MSG_NOSIGNAL);
    if (count < 0) {
        return redis_link_is_pending(errno) ? TLS_WANTS_WRITE : redis_link_fail(errno, err);
    }
    *sent = (size_t)count;
    return TLS_DONE;
}

static enum tls_result redis_link_receive(struct redis_link *link, char *to, size_t *got,
                                          struct err *err) {
    if (link->tls) {
        return tls_session_read(link->tls, to, READ_BYTES, got, err);
    }
    ssize_t count = recv(link->context->fd, to, READ_BYTES, 0);
    if (count < 0) {
        return redis_link_is_pending(errno) ? TLS_WANTS_READ : redis_link_fail(errno, err);
    }
    *got = (size_t)count;
    return count > 0 ? TLS_DONE : TLS_CLOSED;
}

static const char *redis_link_tls_reason(enum tls_failure failure) {
    switch (failure) {
    case TLS_FAILURE_EXPIRED:
        return "the certificate of Redis is expired or not yet valid";
    case TLS_FAILURE_UNKNOWN_CA:
        return "the certificate of Redis is of an unknown CA";
    case TLS_FAILURE_NAME:
        return "the certificate of Redis names another host";
    case TLS_FAILURE_CERTIFICATE:
        return "the certificate of Redis is not valid";
    case TLS_FAILURE_ALERT:
        return "Redis refuses the TLS connection";
    case TLS_FAILURE_NOT_TLS:
        return "Redis does not speak TLS on this port";
    case TLS_FAILURE_NONE:
    case TLS_FAILURE_LOST:
        return NULL;
    default:
        return "the TLS connection to Redis fails";
    }
}

/* In TLS 1.3 a server refuses a client's certificate only after the client's handshake. */
static bool redis_link_lose(struct redis_link *link, struct err *err, enum tls_result result) {
    if (result == TLS_CLOSED) {
        err_set(err, ERR_UNAVAILABLE, "the server closed it");
    }
    link->reason = link->tls ? redis_link_tls_reason(tls_session_failure(link->tls)) : NULL;
    err->kind = ERR_UNAVAILABLE;
    return err_wrap(err, "the connection to Redis is lost");
}

bool redis_link_write(struct redis_link *link, bool *all, struct err *err) {
    enum tls_result result = TLS_DONE;
    while (link->sent < link->out.len && result == TLS_DONE) {
        size_t sent = 0;
        result = redis_link_send(link, link->out.data + link->sent, link->out.len - link->sent,
                                 &sent, err);
        link->sent += sent;
    }
    *all = link->sent == link->out.len;
    if (*all) {
        buffer_clear(&link->out);
        link->sent = 0;
    }
    link->wants = result == TLS_WANTS_READ ? POLLIN : 0;
    return result == TLS_DONE || result == TLS_WANTS_READ || result == TLS_WANTS_WRITE ||
           redis_link_lose(link, err, result);
}

/* TLS is read to its end: poll(2) does not report decrypted bytes. */
bool redis_link_read(struct redis_link *link, struct err *err) {
    char bytes[READ_BYTES];
    enum tls_result result;
    do {
        size_t got = 0;
        result = redis_link_receive(link, bytes, &got, err);
        if (result == TLS_DONE && redisReaderFeed(link->context->reader, bytes, got) != REDIS_OK) {
            err_set(err, ERR_UNAVAILABLE, "%s", link->context->reader->errstr);
            result = TLS_FAILED;
        }
    } while (result == TLS_DONE && link->tls);
    link->wants |= result == TLS_WANTS_WRITE ? POLLOUT : 0;
    return result == TLS_DONE || result == TLS_WANTS_READ || result == TLS_WANTS_WRITE ||
           redis_link_lose(link, err, result);
}

bool redis_link_next_reply(struct redis_link *link, redisReply **reply, struct err *err) {
    void *found = NULL;
    if (redisGetReplyFromReader(link->context, &found) != REDIS_OK) {
        return err_set(err, ERR_UNAVAILABLE, "the connection to Redis is lost: %s",
                       link->context->errstr);
    }
    *reply = found;
    return true;
}

void redis_link_drop_reply(struct redis_link *link) {
    arena_reset(link->replies);
}

void redis_link_keep_replies(struct redis_link *link, bool kept) {
    if (kept) {
        link->context->reader->fn = link->heap;
    } else {
        redis_replies_use_arena(link->context->reader, link->replies);
    }
}

/* A server may send a session ticket of TLS at any time: those bytes are no reply. */
bool redis_link_is_quiet(struct redis_link *link) {
    char bytes[READ_BYTES];
    struct err ignored = {0};
    size_t got = 0;
    return redis_link_receive(link, bytes, &got, &ignored) == TLS_WANTS_READ;
}

short redis_link_events(const struct redis_link *link) {
    bool blocked = link->wants == POLLIN; /* a write of TLS that must read first */
    return (short)(POLLIN | link->wants | (link->out.len > 0 && !blocked ? POLLOUT : 0));
}

bool redis_link_wait(const struct redis_link *link, short events, int64_t deadline_us,
                     struct err *err) {
    struct pollfd fd = {link->context->fd, events, 0};
    int left_ms = clock_remaining_ms(deadline_us);
    while (left_ms > 0 && poll(&fd, 1, left_ms) <= 0) {
        left_ms = clock_remaining_ms(deadline_us);
    }
    return left_ms > 0 || err_set(err, ERR_TIMEOUT, REDIS_LINK_LATE);
}

static bool redis_link_take_received(struct redis_link *link, size_t *index, size_t count,
                                     redis_link_take take, void *context, struct err *err) {
    redisReply *reply = NULL;
    while (*index < count) {
        if (!redis_link_next_reply(link, &reply, err)) {
            return false;
        }
        if (!reply) {
            return true;
        }
        bool ok = take(context, *index, reply, err);
        redis_link_drop_reply(link);
        if (!ok) {
            return false;
        }
        ++*index;
    }
    return true;
}

bool redis_link_exchange(struct redis_link *link, size_t count, int64_t deadline_us,
                         redis_link_take take, void *context, struct err *err) {
    size_t index = 0;
    bool written;
    while (index < count) {
        if (!redis_link_write(link, &written, err) ||
            !redis_link_wait(link, redis_link_events(link), deadline_us, err) ||
            !redis_link_read(link, err) ||
            !redis_link_take_received(link, &index, count, take, context, err)) {
            return false;
        }
    }
    return true;
}

/* ---- opening -------------------------------------------------------------------------------- */

static struct tls_context *redis_link_context(const struct redis_link *link, struct err *err) {
    struct login_tls files = login_redis_tls(link->url);
    struct tls_context *context =
        tls_client_context(&(struct tls_options){.ca = files.ca,
                                                 .certificate = files.certificate,
                                                 .key = files.key,
                                                 .min_version = TLS_VERSION_1_2},
                           err);
    login_tls_free(&files);
    return context;
}

bool redis_link_check_files(const struct redis_link *link, struct err *err) {
    struct tls_context *context = redis_link_context(link, err);
    tls_context_unref(context);
    return context || err_wrap(err, "redis.tls");
}

static bool redis_link_shake_hands(struct redis_link *link, int64_t deadline_us, struct err *err) {
    for (;;) {
        enum tls_result result = tls_session_handshake(link->tls, err);
        if (result == TLS_DONE) {
            return true;
        }
        if (result != TLS_WANTS_READ && result != TLS_WANTS_WRITE) {
            link->reason = redis_link_tls_reason(tls_session_failure(link->tls));
            return false;
        }
        if (!redis_link_wait(link, result == TLS_WANTS_READ ? POLLIN : POLLOUT, deadline_us, err)) {
            link->reason = "Redis does not answer the TLS handshake";
            return false;
        }
    }
}

static bool redis_link_start_tls(struct redis_link *link, const struct redis_address *address,
                                 int64_t deadline_us, struct err *err) {
    struct tls_context *context = redis_link_context(link, err);
    if (!context) {
        link->reason = "the files of redis.tls cannot be used";
        return false;
    }
    link->tls = tls_session_create(context, link->context->fd, address->host, err);
    tls_context_unref(context);
    return link->tls && redis_link_shake_hands(link, deadline_us, err);
}

static bool redis_link_connect_to(struct redis_link *link, const char *address, int port,
                                  int64_t deadline_us, struct err *err) {
    link->context = redisConnectNonBlock(address, port);
    if (!link->context) {
        return err_set(err, ERR_INTERNAL, "out of memory");
    }
    if (link->context->err) {
        return err_set(err, ERR_UNAVAILABLE, "%s", link->context->errstr);
    }
    link->heap = link->context->reader->fn;
    redis_link_keep_replies(link, false);
    if (!redis_link_wait(link, POLLOUT, deadline_us, err)) {
        return false;
    }
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(link->context->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    return failure == 0 || err_set(err, ERR_UNAVAILABLE, "%s", strerror(failure));
}

/* The place-th address; those of IPv4 come first, as in hiredis. */
static const char *redis_link_address(const struct host_addresses *found, size_t place) {
    for (int ipv6 = 0; ipv6 <= 1; ipv6++) {
        for (size_t i = 0; i < found->count; i++) {
            if ((strchr(found->items[i], ':') != NULL) == ipv6 && place-- == 0) {
                return found->items[i];
            }
        }
    }
    return NULL;
}

/* Tries each address once, and divides the remaining time among them. */
static bool redis_link_try(struct redis_link *link, const struct host_addresses *found, int port,
                           int64_t deadline_us, struct err *err) {
    for (size_t i = 0; i < found->count; i++) {
        int64_t now_us = clock_monotonic_us();
        int64_t share_us = (deadline_us - now_us) / (int64_t)(found->count - i);
        redis_link_close(link);
        if (redis_link_connect_to(link, redis_link_address(found, i), port, now_us + share_us,
                                  err)) {
            err_clear(err); /* of the addresses before it */
            return true;
        }
    }
    return false;
}

static bool redis_link_connect(struct redis_link *link, const struct redis_address *address,
                               int64_t deadline_us, struct err *err) {
    struct host_addresses found;
    bool ok = host_lookup(address->host, deadline_us, &found, err) &&
              redis_link_try(link, &found, address->port, deadline_us, err);
    host_addresses_free(&found);
    return ok;
}

bool redis_link_open(struct redis_link *link, const struct redis_address *address,
                     int64_t deadline_us, struct err *err) {
    redis_link_close(link);
    link->reason = NULL;
    link->replies = link->replies ? link->replies : arena_create(REPLY_BYTES);
    if (redis_link_connect(link, address, deadline_us, err) &&
        (!address->tls || redis_link_start_tls(link, address, deadline_us, err))) {
        return true;
    }
    err->kind = ERR_UNAVAILABLE;
    return err_wrap(err, "cannot connect to Redis");
}

void redis_link_close(struct redis_link *link) {
    tls_session_destroy(link->tls);
    link->tls = NULL;
    if (link->context) {
        redisFree(link->context);
        arena_reset(link->replies);
    }
    link->context = NULL;
    link->wants = 0;
    link->sent = 0;
    buffer_clear(&link->out);
}

void redis_link_free(struct redis_link *link) {
    redis_link_close(link);
    arena_destroy(link->replies);
    buffer_free(&link->out);
}
