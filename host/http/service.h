/* service: what every request goes through before and after its site answers it: framing,
 * correlation ids, the time it may take, metrics. Knows no socket. */
#ifndef AGG_HOST_HTTP_SERVICE_H
#define AGG_HOST_HTTP_SERVICE_H

#include "../base/traceparent.h"
#include "http.h"
#include "reply.h"
#include "values.h"

struct service;
struct endpoint;

/* One request on its way. On the stack of its loop, or in the job of a worker. */
struct exchange {
    struct request request;
    char correlation_id[CORRELATION_MAX_BYTES + 1];
    char traceparent[TRACEPARENT_LEN + 1]; /* as it is passed on; "": the request has none */
    int64_t started_us;
    int64_t deadline_us;       /* of the monotonic clock */
    struct endpoint *endpoint; /* metrics */
    struct reply reply;        /* the answer is the connection's to release */
    char *why; /* of an error, for the log alone; NULL: the reply's message is all. The service's
                  to free */
};

/* The site must outlive the service. */
struct service *service_create(struct site site, int request_timeout_ms);
void service_destroy(struct service *service);
/* From now on every reply closes its connection. */
void service_stop(struct service *service);

/* Begins an exchange for a head that request_scan found; it must stay where it is. On false the
 * reply is made already: the request is refused. */
bool service_begin(struct service *service, struct exchange *exchange, struct slice head);
/* Begins and refuses what never became a request. */
void service_refuse(struct service *service, struct exchange *exchange, struct refusal refusal);

/* Makes the reply. Where may_block is false it returns false, having done nothing, when the answer
 * would need Redis, the database or a script. */
bool service_answer(struct service *service, struct exchange *exchange, bool may_block);

#endif
