#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "connection.h"
#include "error_log.h"
#include "loop_private.h"

#define EVENTS_AT_ONCE 256
#define ACCEPTS_AT_ONCE 64
#define ACCEPT_PAUSE_MS 100 /* after accept ran out of descriptors or memory */
#define ACCEPT_ROUNDS 256   /* of what waits when the listener closes */
#define LOOP_RUNS INT64_MAX

/* ---- lists -------------------------------------------------------------------------------- */

static void loop_unlink_from(struct list *list, struct connection *connection) {
    list->count--;
    *(connection->previous ? &connection->previous->next : &list->first) = connection->next;
    *(connection->next ? &connection->next->previous : &list->last) = connection->previous;
    connection->previous = connection->next = NULL;
}

void loop_link_last(struct list *list, struct connection *connection) {
    list->count++;
    connection->previous = list->last;
    connection->next = NULL;
    *(list->last ? &list->last->next : &list->first) = connection;
    list->last = connection;
}

void loop_set_state(struct loop *loop, struct connection *connection, enum connection_state state) {
    loop_unlink_from(&loop->lists[connection->state], connection);
    connection->state = state;
    connection->deadline_us = state == CONNECTION_BUSY
                                  ? INT64_MAX
                                  : clock_monotonic_us() + loop->shared->timeout_ms[state] * 1000LL;
    loop_link_last(&loop->lists[state], connection);
}

void loop_close(struct loop *loop, struct connection *connection) {
    if (connection->live) {
        connection_leave_live(connection); /* no news come after it */
        loop_forget_news(loop, connection);
    }
    loop_unlink_from(&loop->lists[connection->state], connection);
    loop->count--;
    metric_add(loop->shared->open, -1);
    /* Closing alone would leave it in epoll while a forked child has the socket, too. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, connection->transport.fd, NULL);
    connection_destroy(connection);
}

/* ---- for connection.c ----------------------------------------------------------------------- */

const struct loop_shared *loop_shared(const struct loop *loop) {
    return loop->shared;
}

static int64_t loop_ends_us(const struct loop *loop) {
    return atomic_load_explicit(&loop->ends_us, memory_order_acquire);
}

const char *loop_date(struct loop *loop) {
    int64_t now_us = clock_wall_us();
    if (now_us / 1000000 != loop->date_s) {
        loop->date_s = now_us / 1000000;
        response_format_date(now_us, loop->date);
    }
    return loop->date;
}

char *loop_take_buffer(struct loop *loop) {
    struct spares *spares = &loop->buffers;
    return spares->count > 0 ? spares->items[--spares->count] : xcalloc(1, REQUEST_MAX_HEAD_BYTES);
}

void loop_give_buffer(struct loop *loop, char *buffer) {
    if (loop->buffers.count < SPARES_MOST) {
        loop->buffers.items[loop->buffers.count++] = buffer;
    } else {
        free(buffer);
    }
}

struct exchange *loop_take_exchange(struct loop *loop) {
    struct spares *spares = &loop->exchanges;
    return spares->count > 0 ? spares->items[--spares->count] : exchange_create();
}

void loop_give_exchange(struct loop *loop, struct exchange *exchange) {
    body_memory_release(&exchange->body);
    if (loop->exchanges.count < SPARES_MOST) {
        loop->exchanges.items[loop->exchanges.count++] = exchange;
    } else {
        exchange_destroy(exchange);
    }
}

bool loop_watch(struct loop *loop, int operation, struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    return epoll_ctl(loop->epoll_fd, operation, connection->transport.fd, &event) == 0;
}

bool loop_requeue(struct loop *loop, struct connection *connection) {
    /* EPOLL_CTL_MOD makes epoll report an edge-triggered socket again: it is writable. */
    bool watched = loop_watch(loop, EPOLL_CTL_MOD, connection);
    if (!watched) {
        loop_close(loop, connection);
    }
    return watched;
}

/* ---- accepting ---------------------------------------------------------------------------- */

static bool loop_watch_listener(struct loop *loop, bool on) {
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = &loop->listener};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, loop->listener, &event) == 0;
}

/* Out of descriptors or memory: clients wait in the kernel's queue. */
static void loop_pause_accepting(struct loop *loop, int reason) {
    int64_t now_us = clock_monotonic_us();
    size_t left_out = log_limit_take(&loop->accept_log, now_us);
    if (log_limit_admits(&loop->accept_log, now_us)) {
        log_warning("HTTP server cannot accept connections", LOG_TEXT("error", strerror(reason)),
                    LOG_INT("left_out_before", (int64_t)left_out));
    }
    loop->accept_again_us = now_us + ACCEPT_PAUSE_MS * 1000;
    loop_watch_listener(loop, false);
}

/* False: no more wait, or there is no room for them. */
static bool loop_accept_some(struct loop *loop) {
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct loop *target = loop->loops[loop->next_loop++ % loop->loop_count];
            metric_add(loop->shared->accepted, 1);
            loop_post(target, connection_create(target, fd));
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_pause_accepting(loop, errno);
            return false;
        } /* else the client closed before it was accepted */
    }
    return true;
}

/* ---- the thread --------------------------------------------------------------------------- */

static void loop_on_connection_event(struct connection *connection, uint32_t events) {
    connection->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    connection->hung_up |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (events & (EPOLLHUP | EPOLLERR)) { /* not at an end of file: that client may still read */
        connection_abandon(connection);
    }
    connection_drive(connection);
}

/* An event closes no connection but its own, which is in `events` once. */
static void loop_handle_events(struct loop *loop, const struct epoll_event *events, int count) {
    for (int i = 0; i < count; i++) {
        void *about = events[i].data.ptr;
        uint64_t woken;
        if (about == &loop->listener) {
            loop_accept_some(loop);
        } else if (about != &loop->wake_fd) {
            loop_on_connection_event(about, events[i].events);
        } else if (read(loop->wake_fd, &woken, sizeof woken) < 0 && errno != EAGAIN) {
            log_error("an HTTP loop cannot read its eventfd", LOG_TEXT("error", strerror(errno)));
        }
    }
}

static void loop_expire(struct loop *loop) {
    int64_t now_us = clock_monotonic_us();
    for (size_t i = 0; i < CONNECTION_BUSY; i++) {
        while (loop->lists[i].first && loop->lists[i].first->deadline_us <= now_us) {
            connection_expire(loop->lists[i].first);
        }
    }
    error_log_flush(now_us);
    if (loop->accept_again_us && loop->accept_again_us <= now_us) {
        loop->accept_again_us = 0;
        loop_evict(loop); /* frees a descriptor for the next client */
        loop_watch_listener(loop, true);
    }
}

static int loop_wait_ms(const struct loop *loop) {
    int64_t next_us = loop->accept_again_us ? loop->accept_again_us : INT64_MAX;
    for (size_t i = 0; i < CONNECTION_BUSY; i++) {
        const struct connection *first = loop->lists[i].first;
        if (first && first->deadline_us < next_us) {
            next_us = first->deadline_us;
        }
    }
    int64_t due_us = error_log_due_us(), ends_us = loop_ends_us(loop);
    next_us = due_us < next_us ? due_us : next_us;
    next_us = ends_us < next_us && ends_us > clock_monotonic_us() ? ends_us : next_us;
    return next_us == INT64_MAX ? -1 : clock_remaining_ms(next_us);
}

/* Answers requests already received and closes connections that wait for their client. */
static void loop_end_waiting(struct loop *loop) {
    static const enum connection_state waiting[] = {
        CONNECTION_HANDSHAKE, CONNECTION_FRESH,        CONNECTION_READING,  CONNECTION_IDLE,
        CONNECTION_LIVE,      CONNECTION_LIVE_WRITING, CONNECTION_LINGERING};
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++) {
        struct list *list = &loop->lists[waiting[i]];
        for (struct connection *last = list->last, *at = list->first; at;) {
            struct connection *next = at == last ? NULL : at->next;
            at->readable = true;
            connection_drive(at);
            at = next;
        }
        while (list->first) {
            loop_close(loop, list->first);
        }
    }
}

/* A stream has no end of its own: its client opens another one, at the process that accepts. */
static void loop_end_streams(struct loop *loop) {
    while (loop->lists[CONNECTION_LIVE].first) {
        connection_end_live(loop->lists[CONNECTION_LIVE].first);
    }
}

/* A body that is made may take longer than the rest of the program needs to end. */
static void loop_stop_bodies(struct loop *loop) {
    static const enum connection_state states[] = {CONNECTION_BUSY, CONNECTION_STREAMING};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        for (struct connection *at = loop->lists[states[i]].first, *next; at; at = next) {
            next = at->next;
            connection_stop_stream(at, BODY_STREAM_STOPPED);
        }
    }
}

static void loop_close_listener(struct loop *loop) {
    if (loop->listener >= 0) {
        /* Closing alone leaves it in epoll while another process has the socket. */
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->listener, NULL);
        close(loop->listener);
        loop->listener = -1;
        loop->accept_again_us = 0;
    }
}

static void loop_end_at(struct loop *loop, int64_t until_us) {
    atomic_store(&loop->ends_us, until_us);
    loop_wake(loop);
}

/* Deals out what waits to be accepted: the kernel resets it when the last listener closes. The
 * other loops end after it, so that none has ended before it gets its last connection. */
static void loop_stop_accepting(struct loop *loop, int64_t until_us) {
    int rounds = atomic_load(&loop->hands_over) ? 0 : ACCEPT_ROUNDS;
    if (loop->listener < 0) {
        return;
    }
    while (rounds-- > 0 && loop_accept_some(loop)) {
    }
    loop_close_listener(loop);
    for (size_t i = 0; i < loop->loop_count; i++) {
        if (loop->loops[i] != loop) {
            loop_end_at(loop->loops[i], until_us);
        }
    }
}

static void *loop_main(void *context) {
    struct loop *loop = context;
    struct epoll_event events[EVENTS_AT_ONCE];
    thread_set_own_name("http loop");
    int64_t ends_us = LOOP_RUNS;
    while (ends_us == LOOP_RUNS || loop->count > 0) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, loop_wait_ms(loop));
        atomic_store_explicit(&loop->poked, false, memory_order_relaxed);
        loop_handle_events(loop, events, count);
        ends_us = loop_ends_us(loop); /* before the mail: nothing is posted after it */
        if (ends_us != LOOP_RUNS) {
            loop_stop_accepting(loop, ends_us);
        }
        loop_read_mail(loop);
        loop_read_news(loop);
        if (ends_us != LOOP_RUNS) {
            loop_end_streams(loop);
        }
        loop_expire(loop);
        if (ends_us <= clock_monotonic_us()) {
            loop_end_waiting(loop);
            loop_stop_bodies(loop);
        }
    }
    return NULL;
}

/* ---- create and destroy -------------------------------------------------------------------- */

static bool loop_add(struct loop *loop, int *fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0;
}

struct loop *loop_create(const struct loop_shared *shared, struct err *err) {
    struct loop *loop = xcalloc(1, sizeof *loop);
    loop->shared = shared;
    loop->listener = -1;
    atomic_init(&loop->ends_us, LOOP_RUNS);
    loop->mail_end = &loop->mail;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&loop->lock, NULL);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 || !loop_add(loop, &loop->wake_fd)) {
        err_set(err, ERR_INTERNAL, "cannot create an event loop: %s", strerror(errno));
        loop_destroy(loop);
        return NULL;
    }
    return loop;
}

bool loop_start(struct loop *loop, int listener, struct loop **loops, size_t count,
                struct err *err) {
    loop->loops = loops;
    loop->loop_count = count;
    loop->listener = listener;
    if (listener >= 0 && (!loop_add(loop, &loop->listener) || !loop_watch_listener(loop, false))) {
        return err_set(err, ERR_INTERNAL, "epoll cannot watch the listening socket: %s",
                       strerror(errno));
    }
    int failure = pthread_create(&loop->thread, NULL, loop_main, loop);
    return failure == 0 || err_set(err, ERR_INTERNAL, "cannot start the thread of an HTTP loop: %s",
                                   strerror(failure));
}

void loop_accept(struct loop *loop) {
    loop_watch_listener(loop, true);
}

bool loop_poke(struct loop *loop) {
    bool turned = !atomic_exchange(&loop->poked, true);
    loop_wake(loop);
    return turned;
}

void loop_drain(struct loop *loop, const struct loop_end *end) {
    atomic_store(&loop->hands_over, end->hands_over);
    loop_end_at(loop, end->until_us);
}

bool loop_join(struct loop *loop, int64_t deadline_us) {
    return clock_join(loop->thread, deadline_us);
}

void loop_destroy(struct loop *loop) {
    if (!loop) {
        return;
    }
    for (struct connection *left = loop->mail, *next; left; left = next) {
        next = left->next_mail; /* accepted while the loop was ending */
        connection_destroy(left);
    }
    loop_close_listener(loop);
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    pthread_mutex_destroy(&loop->lock);
    while (loop->buffers.count > 0) {
        free(loop->buffers.items[--loop->buffers.count]);
    }
    while (loop->exchanges.count > 0) {
        exchange_destroy(loop->exchanges.items[--loop->exchanges.count]);
    }
    free(loop);
}
