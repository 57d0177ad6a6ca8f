#include "service.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/uuid.h"
#include "../base/xalloc.h"
#include "endpoint.h"
#include "failures.h"

struct service {
    struct site site;
    int request_timeout_ms;
    struct endpoint *unknown; /* no path of the site */
    _Atomic bool stopping;
};

struct service *service_create(struct site site, int request_timeout_ms) {
    struct service *service = xcalloc(1, sizeof *service);
    service->site = site;
    service->request_timeout_ms = request_timeout_ms;
    service->unknown = endpoint_of("unknown");
    return service;
}

void service_destroy(struct service *service) {
    failures_flush(INT64_MAX);
    free(service);
}

void service_stop(struct service *service) {
    atomic_store(&service->stopping, true);
}

/* The ids come later, from the request if it has good ones. */
static void begin(struct service *service, struct exchange *exchange) {
    int64_t now_us = clock_monotonic_us();
    *exchange = (struct exchange){.request.method = METHOD_OTHER,
                                  .started_us = now_us,
                                  .deadline_us = now_us + service->request_timeout_ms * 1000LL,
                                  .endpoint = service->unknown};
}

static void set_ids(struct exchange *exchange) {
    struct slice given = exchange->request.fields[FIELD_CORRELATION_ID];
    if (given.data && correlation_id_acceptable(given)) {
        memcpy(exchange->correlation_id, given.data, given.len);
        exchange->correlation_id[given.len] = '\0';
    } else {
        uint8_t id[16];
        uuid_generate_v4(id);
        uuid_format(id, exchange->correlation_id);
    }
    traceparent_format(traceparent_read(exchange->request.fields[FIELD_TRACEPARENT]),
                       exchange->traceparent);
}

/* What the thread logs from now on is about the exchange. */
static void bind_log(const struct exchange *exchange) {
    struct slice traceparent = traceparent_read(slice_of(exchange->traceparent));
    log_set_correlation_id(slice_of(exchange->correlation_id));
    log_set_trace_id(traceparent_trace_id(traceparent));
}

static void unbind_log(void) {
    log_set_correlation_id((struct slice){0});
    log_set_trace_id((struct slice){0});
}

/* With the log bound to the exchange. */
static void finish(struct service *service, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    int64_t took_us = clock_monotonic_us() - exchange->started_us;
    reply->head_only = request->method == METHOD_HEAD;
    reply->close =
        !request->keep_alive || atomic_load_explicit(&service->stopping, memory_order_relaxed);
    reply->says_keep_alive = request->is_1_0 && !reply->close;
    endpoint_count(exchange->endpoint, request->method, reply->status, (double)took_us / 1e6);
    failures_log(exchange);
    free(exchange->why);
    exchange->why = NULL;
    if (log_enabled(LOG_DEBUG)) {
        log_debug("request answered", LOG_TEXT("endpoint", exchange->endpoint->name),
                  LOG_SLICE("method", request->method_name), LOG_INT("status", reply->status),
                  LOG_INT("took_us", took_us));
    }
}

static void refuse(struct service *service, struct exchange *exchange, struct refusal refusal) {
    exchange->request.keep_alive = false;
    reply_set_error(&exchange->reply, refusal.status, refusal.message);
    bind_log(exchange);
    finish(service, exchange);
    unbind_log();
}

bool service_begin(struct service *service, struct exchange *exchange, struct slice head) {
    struct refusal refusal;
    begin(service, exchange);
    bool good = request_parse(head, &exchange->request, &refusal);
    set_ids(exchange);
    if (!good) {
        refuse(service, exchange, refusal);
    }
    return good;
}

void service_refuse(struct service *service, struct exchange *exchange, struct refusal refusal) {
    begin(service, exchange);
    set_ids(exchange);
    refuse(service, exchange, refusal);
}

bool service_answer(struct service *service, struct exchange *exchange, bool may_block) {
    bind_log(exchange);
    bool answered = true;
    if (may_block && clock_remaining_ms(exchange->deadline_us) == 0) {
        reply_set_error(&exchange->reply, 503, "Too many requests are waiting");
    } else {
        answered = service->site.answer(service->site.context, exchange, may_block);
    }
    if (answered) {
        finish(service, exchange);
    }
    unbind_log();
    return answered;
}
