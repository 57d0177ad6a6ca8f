/* loop: one thread that holds many connections: epoll, a deadline for every state in which a client
 * is waited for, and a mailbox through which connections come from the accepting loop and from
 * workers. A connection belongs to its loop's thread, except while it is busy. */
#ifndef AGG_HOST_HTTP_LOOP_H
#define AGG_HOST_HTTP_LOOP_H

#include "response.h"
#include "exchange.h"
#include "workers.h"

struct loop;

/* What a connection waits for. Within a state all wait equally long, so that each state's list, in
 * order of arrival, is in order of deadlines. */
enum connection_state {
    CONNECTION_FRESH,     /* its first request; nothing came yet */
    CONNECTION_READING,   /* the rest of a request's head */
    CONNECTION_IDLE,      /* its next request; nothing came yet */
    CONNECTION_WRITING,   /* room in the socket for the rest of an answer */
    CONNECTION_LINGERING, /* the client's end: answered and half closed, what still comes is dropped
                           */
    CONNECTION_BUSY,      /* a worker; no deadline here */
    CONNECTION_STATES
};

struct loop_shared {
    struct exchanges *exchanges;
    struct workers *workers;
    int timeout_ms[CONNECTION_STATES];
    size_t max_connections;   /* of one loop */
    struct metric_cell *open; /* gauge */
    struct metric_cell *accepted;
    struct metric_cell *evicted; /* counters */
    struct metric_cell *refused;
    struct metric_cell *timed_out;
    struct metric_cell *abandoned;
};

/* The shared part must outlive the loop. */
struct loop *loop_create(const struct loop_shared *shared, struct err *err);
/* Starts the thread. listener: a listening socket that this loop accepts from and closes at its
 * stop, or -1. What it accepts goes to `loops` in turn. */
bool loop_start(struct loop *loop, int listener, struct loop **loops, size_t count,
                struct err *err);
/* Asks the loop to end: it answers the requests that are there, and then returns. */
void loop_stop(struct loop *loop);
/* False: it has not ended by the monotonic deadline, because a worker answers yet. */
bool loop_join(struct loop *loop, int64_t deadline_us);
void loop_destroy(struct loop *loop);

/* ---- for connection.c ---- */

const struct loop_shared *loop_shared(const struct loop *loop);
/* The present second as an IMF-fixdate. */
const char *loop_date(struct loop *loop);
/* A buffer for the bytes of one request head; some that were given back are reused. */
char *loop_take_buffer(struct loop *loop);
void loop_give_buffer(struct loop *loop, char *buffer);
/* The same for exchanges. */
struct exchange *loop_take_exchange(struct loop *loop);
void loop_give_exchange(struct loop *loop, struct exchange *exchange);
/* Moves the connection to the end of the state's list and sets its deadline anew. */
void loop_set_state(struct loop *loop, struct connection *connection, enum connection_state state);
/* Has connection_drive called again soon, after the others had their turn. */
void loop_requeue(struct loop *loop, struct connection *connection);
/* Unlinks, closes, frees. */
void loop_close(struct loop *loop, struct connection *connection);

/* Any thread: gives a connection whose exchange a worker is done with back to its loop. */
void loop_post_done(struct exchange *exchange);

#endif
