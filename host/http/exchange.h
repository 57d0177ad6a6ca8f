/* exchange: one request and its response, and what each goes through before and after its site:
 * parsing, correlation ids, the time it may take, metrics, the log. Knows no socket. A request is
 * read and planned once, by its loop; what its plan leaves over is carried out by a worker. */
#ifndef AGG_HOST_HTTP_EXCHANGE_H
#define AGG_HOST_HTTP_EXCHANGE_H

#include "base/traceparent.h"
#include "http_server.h"
#include "plan.h"
#include "response.h"

struct exchanges; /* what those of one server share */
struct endpoint;
struct connection;

/* One request on its way, and its response. Owned by its connection; from workers_submit until
 * on_done by the worker. The request's slices point into the connection's input, which stays as it
 * is until the response is made. */
struct exchange {
    struct request request;
    char correlation_id[CORRELATION_MAX_BYTES + 1];
    char traceparent[TRACEPARENT_LEN + 1]; /* as it is passed on; "": the request has none */
    int64_t started_us;
    int64_t deadline_us;       /* of the monotonic clock */
    struct endpoint *endpoint; /* metrics */
    struct plan plan;
    struct response response; /* the answer is the connection's to release */
    char *why; /* of an error, for the log alone; NULL: the response's message is all. Freed
                  when the response is logged */
    /* Of workers.c: */
    struct exchange *next;
    struct connection *connection;
    _Atomic bool abandoned; /* set by the loop: the client has reset the connection */
    bool answered;          /* else it was abandoned before a worker took it */
};

/* Zeroed but for the room that plans use. */
struct exchange *exchange_create(void);
void exchange_destroy(struct exchange *exchange);

/* Of the options: site, headers and request_timeout_ms. */
struct exchanges *exchanges_create(const struct http_options *options);
void exchanges_destroy(struct exchanges *exchanges);
/* From now on every response closes its connection. */
void exchanges_stop(struct exchanges *exchanges);

/* Loop: reads a head that request_scan found and has the site plan its answer. True: the response
 * is made, be it a refusal. False: exchange_carry_out or exchange_drop must follow. */
bool exchange_plan(struct exchanges *exchanges, struct exchange *exchange, struct slice head);
/* Loop: refuses what never became a request. */
void exchange_refuse(struct exchanges *exchanges, struct exchange *exchange,
                     struct refusal refusal);
/* Loop: the same for a connection too many. */
void exchange_turn_away(struct exchanges *exchanges, struct exchange *exchange);

/* Worker: carries out the plan, unless its time is over. Makes the response. */
void exchange_carry_out(struct exchanges *exchanges, struct exchange *exchange);
/* Worker: releases a plan that nobody waits for any longer. Makes no response. */
void exchange_drop(struct exchange *exchange);

#endif
