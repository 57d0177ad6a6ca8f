/* exchange: one request and its response: parsing, correlation id, deadline, metrics, log. Knows no
 * socket. The loop parses and plans a request once; a worker carries out a plan that may wait. */
#pragma once

#include "base/traceparent.h"
#include "http_server.h"
#include "body_memory.h"
#include "plan.h"
#include "response.h"

struct exchanges; /* shared by the exchanges of one server */
struct endpoint;
struct connection;

/* Owned by its connection; from workers_submit until on_done by the worker. The request's slices
 * point into the connection's input, which does not change before the response is made. */
struct exchange {
    struct exchanges *exchanges;
    struct request request;
    char correlation_id[CORRELATION_MAX_BYTES + 1];
    char traceparent[TRACEPARENT_LEN + 1]; /* as passed on; "": none */
    int64_t started_us;
    int64_t streams_since_us;  /* its head was made, if it has streamed */
    int64_t deadline_us;       /* of the monotonic clock */
    struct endpoint *endpoint; /* never NULL */
    struct plan plan;
    struct body_memory body;  /* of request.body_bytes, as far as received */
    struct response response; /* the connection releases its body */
    const char *client;       /* the name in the client's certificate, verified; NULL: none */
    bool is_certified;        /* the listener's present settings accept that certificate's name */
    bool is_encrypted;        /* by TLS of this listener */
    char *why;                /* an error's details, for the log only; freed once logged */
    /* For workers.c: */
    struct exchange *next;
    struct connection *connection;
    void (*on_piece)(struct exchange *exchange); /* its response's body_stream has a piece */
    _Atomic bool abandoned; /* set by the loop: the client reset the connection */
    bool answered;          /* false: it was abandoned before a worker took it */
};

struct exchange *exchange_create(void);
void exchange_destroy(struct exchange *exchange);

/* Uses the options' site, headers, request_timeout_ms, keep_alive_timeout_ms and slow_request_ms.
 */
struct exchanges *exchanges_create(const struct http_options *options);
void exchanges_destroy(struct exchanges *exchanges);
/* From now on every response closes its connection. */
void exchanges_stop(struct exchanges *exchanges);

/* Loop: parses a head that request_scan found and asks the site for a plan. True: the response is
 * made. False: exchange_carry_out or exchange_drop must follow. */
bool exchange_plan(struct exchanges *exchanges, struct exchange *exchange, struct slice head);
/* Loop: makes the response of a connection that sent no valid request or is above the limit. */
void exchange_refuse(struct exchanges *exchanges, struct exchange *exchange,
                     struct refusal refusal);

/* Loop: whether the plan needs the request's body, which has to be received before it is carried
 * out; then the bytes that lack. */
bool exchange_awaits_body(const struct exchange *exchange);
size_t exchange_lacks_bytes(const struct exchange *exchange);
/* Loop: the body is complete. The request's time begins. */
void exchange_end_body(struct exchanges *exchanges, struct exchange *exchange);
/* Loop: the body did not come, or has no room (503): releases the plan and makes the response. */
void exchange_refuse_body(struct exchanges *exchanges, struct exchange *exchange,
                          struct refusal refusal);

/* The given correlation id if it is acceptable (request.h); else, or with data NULL, a new one: a
 * random UUID. */
void exchange_choose_correlation_id(struct slice given, char out[CORRELATION_MAX_BYTES + 1]);
/* Worker, in a plan: the head of a response with a body_stream is complete: it does not change from
 * now on, and the connection's loop may write it. */
void exchange_begin_stream(struct exchange *exchange);
/* Whether exchange_begin_stream was called. */
bool exchange_has_streamed(const struct exchange *exchange);
/* Worker: makes the response: carries out the plan, or 503 past the deadline. */
void exchange_carry_out(struct exchanges *exchanges, struct exchange *exchange);
/* Worker: releases the plan of an abandoned request. Makes no response. */
void exchange_drop(struct exchange *exchange);
