/* endpoint: the metrics of one route, and its lane among the workers' jobs. A cell is looked up at
 * its first use and kept: counting a request is a few atomic additions. Any thread. */
#ifndef AGG_HOST_HTTP_ENDPOINT_H
#define AGG_HOST_HTTP_ENDPOINT_H

#include <stdatomic.h>

#include "base/log_limit.h"
#include "base/metrics.h"
#include "admission.h"
#include "request.h"
#include "unavailable.h"

#define ENDPOINT_STATUSES 17 /* the server's own and one for whatever else a script says */
#define ENDPOINT_ERRORS 4

struct endpoint {
    char *name;
    struct endpoint *next;
    _Atomic(struct metric_cell *) requests[METHOD_COUNT][ENDPOINT_STATUSES];
    _Atomic(struct metric_cell *) seconds[METHOD_COUNT];
    _Atomic(struct metric_cell *) errors[ENDPOINT_ERRORS];
    _Atomic(struct metric_cell *) unauthorized[ADMISSION_RESULTS];
    _Atomic(struct metric_cell *) unavailable[UNAVAILABLE_REASONS];
    struct log_limit limits[ENDPOINT_ERRORS]; /* error_log.c's */
};

/* The one of that name, made at first use. They live as long as the process: scripts come and go,
 * and bring few names. */
struct endpoint *endpoint_of(const char *name);

/* Counts one answer: ras_api_requests_total, ras_api_request_duration_seconds and, unless it is a
 * success or a 404 (an answer like any other), ras_api_errors_total. */
void endpoint_count(struct endpoint *endpoint, enum request_method method, int status,
                    double seconds);
/* Counts one 401: ras_api_unauthorized_total. */
void endpoint_count_unauthorized(struct endpoint *endpoint, enum admission_result result);

/* Counts one 503: ras_api_unavailable_total. */
void endpoint_count_unavailable(struct endpoint *endpoint, enum unavailable reason);

/* The kind of an error's status, below ENDPOINT_ERRORS, and its name. */
size_t endpoint_error_type(int status);
const char *endpoint_error_name(size_t type);

/* Every endpoint there is so far. */
void endpoint_visit(void (*visit)(struct endpoint *endpoint, void *context), void *context);

#endif
