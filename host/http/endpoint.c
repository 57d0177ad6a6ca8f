#include "endpoint.h"

#include <pthread.h>
#include <stdio.h>

#include "base/xalloc.h"

static const int statuses[] = {200, 204, 304, 400, 401, 404, 405, 408,
                               413, 414, 417, 431, 500, 503, 504, 505};
#define STATUS_COUNT (sizeof statuses / sizeof *statuses)
_Static_assert(STATUS_COUNT < ENDPOINT_STATUSES, "one slot is for the other statuses");

static const char *const methods[METHOD_COUNT] = {"GET", "HEAD", "other"};

enum { ERROR_VALIDATION, ERROR_AUTHENTICATION, ERROR_INTERNAL, ERROR_UNAVAILABLE };
static const char *const error_types[ENDPOINT_ERRORS] = {"validation", "authentication", "internal",
                                                         "unavailable"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct endpoint *endpoints;

struct endpoint *endpoint_of(const char *name) {
    pthread_mutex_lock(&lock);
    struct endpoint *endpoint = endpoints;
    while (endpoint && strcmp(endpoint->name, name) != 0) {
        endpoint = endpoint->next;
    }
    if (!endpoint) {
        endpoint = xcalloc(1, sizeof *endpoint);
        endpoint->name = xstrdup(name);
        endpoint->next = endpoints;
        endpoints = endpoint;
    }
    pthread_mutex_unlock(&lock);
    return endpoint;
}

static struct metric_cell *endpoint_requests_cell(struct endpoint *endpoint,
                                                  enum request_method method, int status) {
    size_t slot = 0;
    while (slot < STATUS_COUNT && statuses[slot] != status) {
        slot++;
    }
    struct metric_cell *cell =
        atomic_load_explicit(&endpoint->requests[method][slot], memory_order_acquire);
    if (!cell) {
        char code[16] = "other";
        if (slot < STATUS_COUNT) {
            snprintf(code, sizeof code, "%d", status);
        }
        cell = metric_cell(metric_family(METRIC_COUNTER, "ras_api_requests_total",
                                         "Answered requests.", "endpoint,method,status_code"),
                           endpoint->name, methods[method], code);
        atomic_store_explicit(&endpoint->requests[method][slot], cell, memory_order_release);
    }
    return cell;
}

static struct metric_cell *endpoint_seconds_cell(struct endpoint *endpoint,
                                                 enum request_method method) {
    struct metric_cell *cell =
        atomic_load_explicit(&endpoint->seconds[method], memory_order_acquire);
    if (!cell) {
        cell =
            metric_cell(metric_family(METRIC_HISTOGRAM, "ras_api_request_duration_seconds",
                                      "From the request's head to its answer.", "endpoint,method"),
                        endpoint->name, methods[method]);
        atomic_store_explicit(&endpoint->seconds[method], cell, memory_order_release);
    }
    return cell;
}

size_t endpoint_error_type(int status) {
    return status == 401   ? ERROR_AUTHENTICATION
           : status < 500  ? ERROR_VALIDATION
           : status == 503 ? ERROR_UNAVAILABLE
                           : ERROR_INTERNAL;
}

const char *endpoint_error_name(size_t type) {
    return error_types[type];
}

static struct metric_cell *endpoint_errors_cell(struct endpoint *endpoint, int status) {
    size_t type = endpoint_error_type(status);
    struct metric_cell *cell = atomic_load_explicit(&endpoint->errors[type], memory_order_acquire);
    if (!cell) {
        cell = metric_cell(metric_family(METRIC_COUNTER, "ras_api_errors_total",
                                         "Requests answered with an error.", "endpoint,error_type"),
                           endpoint->name, error_types[type]);
        atomic_store_explicit(&endpoint->errors[type], cell, memory_order_release);
    }
    return cell;
}

void endpoint_count(struct endpoint *endpoint, enum request_method method, int status,
                    double seconds) {
    metric_add(endpoint_requests_cell(endpoint, method, status), 1);
    metric_observe(endpoint_seconds_cell(endpoint, method), seconds);
    if (status >= 400 && status != 404) {
        metric_add(endpoint_errors_cell(endpoint, status), 1);
    }
}

/* Counts one in a family with the labels endpoint and reason. */
static void endpoint_count_reason(struct endpoint *endpoint, _Atomic(struct metric_cell *) *kept,
                                  struct metric *(*family)(void), const char *reason) {
    struct metric_cell *cell = atomic_load_explicit(kept, memory_order_acquire);
    if (!cell) {
        cell = metric_cell(family(), endpoint->name, reason);
        atomic_store_explicit(kept, cell, memory_order_release);
    }
    metric_add(cell, 1);
}

static struct metric *endpoint_unauthorized(void) {
    return metric_family(METRIC_COUNTER, "ras_api_unauthorized_total",
                         "Requests answered 401, by what their credentials lacked.",
                         "endpoint,reason");
}

static struct metric *endpoint_unavailable(void) {
    return metric_family(METRIC_COUNTER, "ras_api_unavailable_total",
                         "Requests answered 503, by what was missing.", "endpoint,reason");
}

void endpoint_count_unauthorized(struct endpoint *endpoint, enum admission_result result) {
    endpoint_count_reason(endpoint, &endpoint->unauthorized[result], endpoint_unauthorized,
                          admission_reason(result));
}

void endpoint_count_unavailable(struct endpoint *endpoint, enum unavailable reason) {
    endpoint_count_reason(endpoint, &endpoint->unavailable[reason], endpoint_unavailable,
                          unavailable_name(reason));
}

void endpoint_visit(void (*visit)(struct endpoint *endpoint, void *context), void *context) {
    pthread_mutex_lock(&lock);
    struct endpoint *endpoint = endpoints;
    pthread_mutex_unlock(&lock);
    for (; endpoint; endpoint = endpoint->next) { /* new ones come before it; none leaves */
        visit(endpoint, context);
    }
}
