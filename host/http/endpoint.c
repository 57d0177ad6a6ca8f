#include "endpoint.h"

#include <pthread.h>
#include <stdio.h>

#include "base/xalloc.h"

static const int statuses[] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411,
                               412, 413, 414, 415, 417, 422, 429, 431, 500, 501, 503, 504, 505};
#define STATUS_COUNT (sizeof statuses / sizeof *statuses)
#define SERVICE_BYTES 128 /* of a label */
_Static_assert(STATUS_COUNT < ENDPOINT_STATUSES, "one slot is for the other statuses");

enum { ERROR_VALIDATION, ERROR_AUTHENTICATION, ERROR_INTERNAL, ERROR_UNAVAILABLE };
static const char *const error_types[ENDPOINT_ERRORS + 1] = {"validation", "authentication",
                                                             "internal", "unavailable", "slow"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct endpoint *endpoints;

/* NULL: there is none yet. Under the lock. */
static struct endpoint *endpoint_find(struct slice name) {
    struct endpoint *endpoint = endpoints;
    while (endpoint && !slice_equal(slice_of(endpoint->name), name)) {
        endpoint = endpoint->next;
    }
    return endpoint;
}

struct endpoint *endpoint_of(const char *name) {
    pthread_mutex_lock(&lock);
    struct endpoint *endpoint = endpoint_find(slice_of(name));
    if (!endpoint) {
        endpoint = xcalloc(1, sizeof *endpoint);
        endpoint->name = xstrdup(name);
        rate_limit_init(&endpoint->rates);
        endpoint->next = endpoints;
        endpoints = endpoint;
    }
    pthread_mutex_unlock(&lock);
    return endpoint;
}

struct endpoint *endpoint_of_own(const char *name) {
    struct endpoint *endpoint = endpoint_of(name);
    atomic_store(&endpoint->own, true);
    return endpoint;
}

bool endpoint_is_own(struct slice name) {
    pthread_mutex_lock(&lock);
    const struct endpoint *endpoint = endpoint_find(name);
    bool own = endpoint && atomic_load(&endpoint->own);
    pthread_mutex_unlock(&lock);
    return own;
}

struct family {
    enum metric_type type;
    const char *name, *help, *labels;
};

/* The cell in *slot, looked up at its first use. */
static struct metric_cell *endpoint_cell(_Atomic(struct metric_cell *) *slot,
                                         const struct family *family, const char *const *values,
                                         size_t count) {
    struct metric_cell *cell = atomic_load_explicit(slot, memory_order_acquire);
    if (!cell) {
        cell = metric_cell_of(
            metric_family(family->type, family->name, family->help, family->labels), values, count);
        atomic_store_explicit(slot, cell, memory_order_release);
    }
    return cell;
}

static void endpoint_count_status(struct endpoint *endpoint, enum request_method method,
                                  int status) {
    static const struct family requests = {METRIC_COUNTER, "ras_api_requests_total",
                                           "Answered requests.", "endpoint,method,status_code"};
    size_t slot = 0;
    char code[16] = "other";
    while (slot < STATUS_COUNT && statuses[slot] != status) {
        slot++;
    }
    if (slot < STATUS_COUNT) {
        snprintf(code, sizeof code, "%d", status);
    }
    const char *const values[] = {endpoint->name, request_method_names[method], code};
    metric_add(endpoint_cell(&endpoint->requests[method][slot], &requests, values, 3), 1);
}

static void endpoint_add(struct endpoint *endpoint, _Atomic(struct metric_cell *) *slot,
                         const struct family *family, const char *label) {
    metric_add(endpoint_cell(slot, family, (const char *const[]){endpoint->name, label}, 2), 1);
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

static void endpoint_count_error(struct endpoint *endpoint, size_t type) {
    static const struct family errors = {METRIC_COUNTER, "ras_api_errors_total",
                                         "Requests answered with an error.", "endpoint,error_type"};
    endpoint_add(endpoint, &endpoint->errors[type], &errors, error_types[type]);
}

void endpoint_count(struct endpoint *endpoint, enum request_method method, int status,
                    double seconds) {
    static const struct family durations = {METRIC_HISTOGRAM, "ras_api_request_duration_seconds",
                                            "From the request's head to its response.",
                                            "endpoint,method"};
    const char *const values[] = {endpoint->name, request_method_names[method]};
    endpoint_count_status(endpoint, method, status);
    metric_observe(endpoint_cell(&endpoint->seconds[method], &durations, values, 2), seconds);
    if (status >= 400 && status != 404) {
        endpoint_count_error(endpoint, endpoint_error_type(status));
    }
}

void endpoint_count_broken_stream(struct endpoint *endpoint, const char *reason, bool failed) {
    const char *const values[] = {endpoint->name, reason};
    struct metric *broken =
        metric_family(METRIC_COUNTER, "ras_api_streams_broken_total",
                      "Streamed responses that ended before they were whole.", "endpoint,reason");
    metric_add(metric_cell_of(broken, values, 2), 1);
    if (failed) {
        endpoint_count_error(endpoint, ERROR_INTERNAL);
    }
}

void endpoint_count_unauthorized(struct endpoint *endpoint, enum admission_result result) {
    static const struct family unauthorized = {
        METRIC_COUNTER, "ras_api_unauthorized_total",
        "Requests answered 401, by what their credentials lacked.", "endpoint,reason"};
    endpoint_add(endpoint, &endpoint->unauthorized[result], &unauthorized,
                 admission_reason(result));
}

void endpoint_count_rate_limited(struct endpoint *endpoint, struct slice caller) {
    char name[SERVICE_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)caller.len, caller.len > 0 ? caller.data : "");
    const char *const values[] = {endpoint->name, name};
    struct metric *limited =
        metric_family(METRIC_COUNTER, "ras_api_rate_limited_total",
                      "Requests answered 429: above the route's rate_limit.", "endpoint,service");
    metric_add(metric_cell_of(limited, values, 2), 1);
}

void endpoint_count_unavailable(struct endpoint *endpoint, enum unavailable reason) {
    static const struct family unavailable = {METRIC_COUNTER, "ras_api_unavailable_total",
                                              "Requests answered 503, by what was missing.",
                                              "endpoint,reason"};
    endpoint_add(endpoint, &endpoint->unavailable[reason], &unavailable, unavailable_name(reason));
}

void endpoint_visit(void (*visit)(struct endpoint *endpoint, void *context), void *context) {
    pthread_mutex_lock(&lock);
    struct endpoint *endpoint = endpoints;
    pthread_mutex_unlock(&lock);
    for (; endpoint; endpoint = endpoint->next) { /* new ones are put before it, none is removed */
        visit(endpoint, context);
    }
}
