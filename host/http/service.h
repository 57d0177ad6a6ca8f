/* service: what every request goes through before and after its site: framing, correlation ids, the
 * time it may take, metrics. Knows no socket. A request is read and planned once, by its loop; what
 * the plan leaves over is carried out by a worker. */
#ifndef AGG_HOST_HTTP_SERVICE_H
#define AGG_HOST_HTTP_SERVICE_H

#include "../base/traceparent.h"
#include "http.h"
#include "plan.h"
#include "reply.h"
#include "values.h"

struct service;
struct endpoint;
struct connection;

/* One request on its way, and its reply. Owned by its connection; from workers_submit until on_done
 * by the worker. The request's slices point into the connection's input, which stays as it is until
 * the reply is made. */
struct exchange {
    struct request request;
    char correlation_id[CORRELATION_MAX_BYTES + 1];
    char traceparent[TRACEPARENT_LEN + 1]; /* as it is passed on; "": the request has none */
    int64_t started_us;
    int64_t deadline_us;       /* of the monotonic clock */
    struct endpoint *endpoint; /* metrics */
    struct plan plan;
    struct reply reply; /* the answer is the connection's to release */
    char *why; /* of an error, for the log alone; NULL: the reply's message is all. The service's
                  to free */
    /* Of workers.c: */
    struct exchange *next;
    struct connection *connection;
    _Atomic bool abandoned; /* set by the loop: the client has reset the connection */
    bool answered;          /* else it was abandoned before a worker took it */
};

/* Zeroed but for the room that plans use. */
struct exchange *exchange_create(void);
void exchange_destroy(struct exchange *exchange);

/* The site must outlive the service. */
struct service *service_create(struct site site, int request_timeout_ms);
void service_destroy(struct service *service);
/* From now on every reply closes its connection. */
void service_stop(struct service *service);

/* Loop: reads a head that request_scan found and has the site plan its answer. True: the reply is
 * made, be it a refusal. False: service_carry_out or service_drop must follow. */
bool service_plan(struct service *service, struct exchange *exchange, struct slice head);
/* Loop: refuses what never became a request. */
void service_refuse(struct service *service, struct exchange *exchange, struct refusal refusal);

/* Worker: carries out the plan, unless its time is over. Makes the reply. */
void service_carry_out(struct service *service, struct exchange *exchange);
/* Worker: releases a plan that nobody waits for any longer. Makes no reply. */
void service_drop(struct exchange *exchange);

#endif
