/* loop: one thread with many connections: epoll, deadlines, and a mailbox for connections from the
 * accepting loop and from workers. Connections belong to their loop's thread; while one is busy, a
 * worker owns its exchange. */
#pragma once

#include "response.h"
#include "exchange.h"
#include "workers.h"

struct loop;

/* What a connection waits for. All in one state have the same time limit, so that each state's list
 * is in order of deadlines. */
enum connection_state {
    CONNECTION_HANDSHAKE,    /* the rest of a TLS handshake */
    CONNECTION_FRESH,        /* the first byte of its first request */
    CONNECTION_READING,      /* the rest of a request's head */
    CONNECTION_IDLE,         /* the first byte of its next request */
    CONNECTION_WRITING,      /* room in the socket for the rest of a response */
    CONNECTION_STREAMING,    /* room in the socket for the next bytes of a body that is made */
    CONNECTION_LIVE,         /* news for its live reader; then a heartbeat */
    CONNECTION_LIVE_WRITING, /* room in the socket for the rest of an event */
    CONNECTION_LINGERING,    /* the client's end of file: half closed, further bytes are dropped */
    CONNECTION_BUSY,         /* a worker; no deadline */
    CONNECTION_STATES
};

struct loop_shared {
    struct exchanges *exchanges;
    struct body_budget *bodies;
    struct workers *workers;
    int timeout_ms[CONNECTION_STATES];
    size_t max_connections; /* of one loop */
    size_t max_handshakes;  /* of one loop */
    struct certificates *certificates;
    struct handshakes *handshakes;
    struct metric_cell *open; /* gauge */
    struct metric_cell *accepted;
    struct metric_cell *evicted; /* counters */
    struct metric_cell *refused;
    struct metric_cell *timed_out;
    struct metric_cell *abandoned;
};

/* The shared part must outlive the loop. */
struct loop *loop_create(const struct loop_shared *shared, struct err *err);
/* Starts the thread. listener: a listening socket that this loop accepts from after loop_accept,
 * and closes when it drains, or -1. What it accepts goes to `loops` in turn. */
bool loop_start(struct loop *loop, int listener, struct loop **loops, size_t count,
                struct err *err);
/* Begins to accept. Any thread. */
void loop_accept(struct loop *loop);

/* What becomes of the connections when the loop ends. */
struct loop_end {
    bool hands_over;  /* another process accepts those that wait in the listener's queue */
    int64_t until_us; /* monotonic: those that wait for their client are closed then */
};
/* Once. Ends the loop when it has no connection left; the loop with the listener first stops
 * accepting, and then ends the others. */
void loop_drain(struct loop *loop, const struct loop_end *end);
/* False: connections are left at the monotonic deadline, and the loop has not ended. */
bool loop_join(struct loop *loop, int64_t deadline_us);
void loop_destroy(struct loop *loop);
/* Wakes the loop. False: it has not turned since the call before. One thread at a time. */
bool loop_poke(struct loop *loop);

/* ---- for connection.c ---- */

const struct loop_shared *loop_shared(const struct loop *loop);
/* The current second as an IMF-fixdate. */
const char *loop_date(struct loop *loop);
/* A buffer for one request head. Returned buffers are reused. */
char *loop_take_buffer(struct loop *loop);
void loop_give_buffer(struct loop *loop, char *buffer);
/* The same for exchanges. */
struct exchange *loop_take_exchange(struct loop *loop);
void loop_give_exchange(struct loop *loop, struct exchange *exchange);
/* Moves the connection to the end of the state's list and restarts its deadline. */
void loop_set_state(struct loop *loop, struct connection *connection, enum connection_state state);
/* Has connection_drive called again after other connections. False: epoll refused, and the
 * connection is gone. */
bool loop_requeue(struct loop *loop, struct connection *connection);
/* Unlinks, closes, frees. */
void loop_close(struct loop *loop, struct connection *connection);

/* Any thread: has connection_take_news called. The connection has a live reader, or its exchange a
 * body_stream. */
void loop_post_news(struct loop *loop, struct connection *connection);
/* Takes back what loop_post_news asked for. */
void loop_forget_news(struct loop *loop, struct connection *connection);
/* Any thread: returns a finished exchange to its connection's loop. */
void loop_post_done(struct exchange *exchange);
