/* connection: one client. Bytes in, requests out of them one after the other, answers written in
 * the same order. Never blocks: what cannot go on now goes on when the loop calls again. */
#ifndef AGG_HOST_HTTP_CONNECTION_H
#define AGG_HOST_HTTP_CONNECTION_H

#include "loop.h"

/* Owned by its loop's thread; while a worker has its exchange, the loop notes what epoll says of
 * it, and touches nothing else: the input stays, for the request points into it. */
struct connection {
    struct loop *loop;
    struct connection *previous, *next; /* the loop's list of the state */
    struct connection *next_mail;       /* the loop's mailbox */
    int64_t deadline_us;
    int fd;
    enum connection_state state;
    bool readable;  /* the socket may have more (edge-triggered: read until it has not) */
    bool hung_up;   /* the client sends no more: there is an end of file behind what is there */
    bool at_end;    /* the end of file was read */
    char *input;    /* REQUEST_MAX_HEAD_BYTES from the loop; NULL while nothing is kept */
    size_t len;     /* of the input: from the first byte that no request has used */
    size_t scanned; /* bytes of it in which no head ends */
    struct exchange *exchange; /* a worker's; NULL while none has one */
    size_t exchange_len;       /* of its head, at the begin of the input */
    /* The answer being written. */
    char head[RESPONSE_HEAD_BYTES];
    size_t head_len;
    struct response response;
    size_t written;       /* of head and body */
    size_t progress;      /* `written` when the deadline was last set */
    size_t dropped_bytes; /* while lingering */
};

struct connection *connection_create(struct loop *loop, int fd);
/* Closes the socket and frees. Not while busy. */
void connection_destroy(struct connection *connection);

/* Goes on as far as it can; the connection may be gone afterwards. */
void connection_drive(struct connection *connection);
/* The worker is done with its exchange. */
void connection_resume(struct connection *connection);
/* Says that there are too many, as far as the socket takes it at once. It is in no loop's list. */
void connection_turn_away(struct connection *connection);
/* The client has reset it: a request that still waits for a worker is not answered. */
void connection_abandon(struct connection *connection);
/* Its state's deadline has passed; the connection may be gone afterwards. */
void connection_expire(struct connection *connection);

#endif
