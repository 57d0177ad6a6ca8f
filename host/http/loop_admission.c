/* loop_admission: takes a new connection if there is room, or makes room for it. */
#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/metrics.h"
#include "certificates.h"
#include "connection.h"
#include "loop_private.h"

/* Of the first connections of the lists, the one that came into its state first; NULL: none. */
static struct connection *loop_longest(const struct loop *loop, const enum connection_state *states,
                                       size_t count) {
    struct connection *longest = NULL;
    int64_t longest_us = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        struct connection *first = loop->lists[states[i]].first;
        int64_t since_us =
            first ? first->deadline_us - loop->shared->timeout_ms[states[i]] * 1000LL : INT64_MAX;
        if (since_us < longest_us) {
            longest = first;
            longest_us = since_us;
        }
    }
    return longest;
}

bool loop_evict(struct loop *loop) {
    static const enum connection_state unproven[] = {CONNECTION_HANDSHAKE, CONNECTION_FRESH,
                                                     CONNECTION_READING};
    struct connection *last = loop->lists[CONNECTION_LINGERING].first;
    last = last ? last : loop_longest(loop, unproven, sizeof unproven / sizeof *unproven);
    last = last ? last : loop->lists[CONNECTION_IDLE].first;
    if (last) {
        metric_add(loop->shared->evicted, 1);
        loop_close(loop, last);
    }
    return last != NULL;
}

/* Begins a handshake in place of the oldest one if too many are under way. */
static bool loop_secure(struct loop *loop, struct connection *connection,
                        struct tls_context *context) {
    const struct list *handshakes = &loop->lists[CONNECTION_HANDSHAKE];
    struct err err = {0};
    if (handshakes->count >= loop->shared->max_handshakes) {
        connection_give_up_handshake(handshakes->first);
    }
    bool good = connection_secure(connection, context, &err);
    if (!good) {
        log_error("TLS handshake cannot begin", LOG_TEXT("error", err.text));
    }
    return good;
}

/* context: NULL without TLS. */
static bool loop_admit(struct loop *loop, struct connection *connection,
                       struct tls_context *context) {
    if (loop->count >= loop->shared->max_connections && !loop_evict(loop)) {
        metric_add(loop->shared->refused, 1);
        if (!context) {
            connection_turn_away(connection);
        }
        return false;
    }
    return !context || loop_secure(loop, connection, context);
}

void loop_adopt(struct loop *loop, struct connection *connection) {
    struct tls_context *context = certificates_take(loop->shared->certificates);
    bool admitted = loop_admit(loop, connection, context);
    tls_context_unref(context);
    if (!admitted) {
        connection_destroy(connection);
        return;
    }
    loop->count++;
    metric_add(loop->shared->open, 1);
    loop_link_last(&loop->lists[connection->state], connection);
    loop_set_state(loop, connection, connection->state);
    if (!loop_watch(loop, EPOLL_CTL_ADD, connection)) {
        log_error("epoll cannot watch a connection", LOG_TEXT("error", strerror(errno)));
        loop_close(loop, connection);
        return;
    }
    connection->readable = true; /* its first bytes have often arrived */
    connection_drive(connection);
}
