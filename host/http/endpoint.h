/* endpoint: the metrics of one route; workers.c also queues by it. A cell is looked up at its first
 * use and kept: counting a request is a few atomic additions. Any thread. */
#pragma once

#include <stdatomic.h>

#include "base/log_limit.h"
#include "base/metrics.h"
#include "admission.h"
#include "rate_limit.h"
#include "request.h"
#include "unavailable.h"

#define ENDPOINT_STATUSES 27 /* the server's own, and one slot for all others */
#define ENDPOINT_ERRORS 4
#define ENDPOINT_SLOW ENDPOINT_ERRORS /* the limit of the lines about slow requests */

struct endpoint {
    char *name;
    struct endpoint *next;
    _Atomic(struct metric_cell *) requests[METHOD_COUNT][ENDPOINT_STATUSES];
    _Atomic(struct metric_cell *) seconds[METHOD_COUNT];
    _Atomic(struct metric_cell *) errors[ENDPOINT_ERRORS];
    _Atomic(struct metric_cell *) unauthorized[ADMISSION_RESULTS];
    _Atomic(struct metric_cell *) unavailable[UNAVAILABLE_REASONS];
    _Atomic bool own;                             /* of the program, not of the service */
    struct rate_buckets rates;                    /* rate_limit.c's */
    struct log_limit limits[ENDPOINT_ERRORS + 1]; /* error_log.c's */
};

/* The endpoint of that name, created at first use. Lives as long as the process: all generations
 * of scripts together declare few names. */
struct endpoint *endpoint_of(const char *name);
/* The same for probes, scrapes and operators: not what the service is for. */
struct endpoint *endpoint_of_own(const char *name);
bool endpoint_is_own(struct slice name);

/* Counts one response: ras_api_requests_total, ras_api_request_duration_seconds and, from 400 on
 * except 404, ras_api_errors_total. */
void endpoint_count(struct endpoint *endpoint, enum request_method method, int status,
                    double seconds);
void endpoint_count_unauthorized(struct endpoint *endpoint, enum admission_result result);
/* caller: a service that is allowed, or "": their number is bounded. */
void endpoint_count_rate_limited(struct endpoint *endpoint, struct slice caller);
/* A streamed response that did not become whole; `failed`: also in ras_api_errors_total. */
void endpoint_count_broken_stream(struct endpoint *endpoint, const char *reason, bool failed);
void endpoint_count_unavailable(struct endpoint *endpoint, enum unavailable reason);

/* The kind of an error's status, below ENDPOINT_ERRORS; its name, also of ENDPOINT_SLOW. */
size_t endpoint_error_type(int status);
const char *endpoint_error_name(size_t type);

void endpoint_visit(void (*visit)(struct endpoint *endpoint, void *context), void *context);
