/* connection: one client's socket: a TLS handshake if the listener has a certificate, then requests
 * and their responses in order. Never blocks: the loop calls again when the socket is ready. */
#pragma once

#include <sys/socket.h>

#include "body_stream.h"
#include "loop.h"
#include "transport.h"

/* Owned by its loop's thread. While a worker has its exchange, the loop only notes epoll's events:
 * the request points into the input, which must not change. */
struct connection {
    struct loop *loop;
    struct connection *previous, *next; /* the loop's list of the state */
    struct connection *next_mail;       /* the loop's mailbox */
    int64_t deadline_us;
    struct transport transport;
    struct sockaddr_storage address; /* the client's; only with TLS */
    enum connection_state state;
    bool readable;  /* the transport may have bytes (edge-triggered: until a read finds none) */
    bool hung_up;   /* an end of file follows the bytes that are there */
    bool at_end;    /* the end of file was read */
    char *input;    /* REQUEST_MAX_HEAD_BYTES from the loop; NULL while empty */
    size_t len;     /* of the input, which begins with the current request */
    size_t scanned; /* bytes of it known to hold no end of a head */
    struct exchange *receiving; /* NULL unless its request's body is being received */
    struct exchange *exchange;  /* NULL unless a worker has it */
    size_t exchange_len;        /* of its head in the input */
    /* The response being written. */
    char *head; /* malloc'ed; NULL: none */
    size_t head_len;
    struct response response;
    size_t written;       /* of head and body, and of live messages */
    int64_t taken;        /* by the client when the deadline was last set: connection_taken */
    size_t dropped_bytes; /* while lingering, or live */
    /* While its response has a body_stream: */
    struct buffer piece; /* being written */
    size_t piece_written;
    bool lost; /* closed once its exchange is returned */
    /* While live: */
    struct live_reader *live;     /* NULL: not live */
    struct live_message *message; /* being written; NULL: none */
    size_t message_written;
    struct connection *next_news, **news_link; /* the loop's list, under its lock */
    bool has_news;                             /* it is in that list */
};

#define PROGRESS_BYTES 16384 /* a client that takes this much gets a new deadline */

struct connection *connection_create(struct loop *loop, int fd);
/* Begins TLS: its state is CONNECTION_HANDSHAKE. False: err. */
bool connection_secure(struct connection *connection, struct tls_context *context, struct err *err);
/* Closes the socket and frees. Not while busy. */
void connection_destroy(struct connection *connection);

/* Reads, answers and writes as far as it can; may destroy the connection. */
void connection_drive(struct connection *connection);
/* Takes the exchange back from its worker. May destroy the connection. */
void connection_resume(struct connection *connection);
/* Sends a 503 if the socket takes it at once; nothing before a TLS handshake. The connection must
 * be in no list of a loop. */
void connection_turn_away(struct connection *connection);
/* The client reset it: a request that no worker has begun is dropped. */
void connection_abandon(struct connection *connection);
/* Too many handshakes are under way: closes this one, which is in the list of its state. */
void connection_give_up_handshake(struct connection *connection);
/* Writes what its live reader or its body_stream has. May destroy the connection. */
void connection_take_news(struct connection *connection);
/* Ends the body_stream of its response, if there is one. May destroy the connection. */
void connection_stop_stream(struct connection *connection, enum body_stream_end end);
/* Ends its stream and, after the client's end of file, the connection. May destroy it. */
void connection_end_live(struct connection *connection);
/* Ends its live reader: loop_post_news is not called for it any longer. */
void connection_leave_live(struct connection *connection);
/* Its state's deadline has passed. May destroy the connection. */
void connection_expire(struct connection *connection);
