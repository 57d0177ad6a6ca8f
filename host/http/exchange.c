#include "exchange.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/request_steps.h"
#include "base/uuid.h"
#include "base/xalloc.h"
#include "endpoint.h"
#include "error_log.h"
#include "problem.h"

struct exchanges {
    struct site site;
    struct request_names names;
    struct http_headers headers;
    int request_timeout_ms;
    int64_t slow_us;          /* 0: no request is slow */
    struct endpoint *unknown; /* of requests whose path the site does not have */
    _Atomic bool closes;      /* every response closes its connection */
};

struct exchanges *exchanges_create(const struct http_options *options) {
    struct exchanges *exchanges = xcalloc(1, sizeof *exchanges);
    exchanges->site = options->site;
    exchanges->request_timeout_ms = options->request_timeout_ms;
    exchanges->slow_us = options->slow_request_ms * 1000LL;
    exchanges->headers = options->headers;
    exchanges->names = request_names(options->headers.api_key, options->headers.caller,
                                     options->headers.correlation_id);
    exchanges->unknown = endpoint_of("unknown");
    /* Else a client would send its next request to a connection that is closed. */
    atomic_init(&exchanges->closes, options->keep_alive_timeout_ms == 0);
    return exchanges;
}

void exchanges_destroy(struct exchanges *exchanges) {
    error_log_flush(INT64_MAX);
    free(exchanges);
}

void exchanges_stop(struct exchanges *exchanges) {
    atomic_store(&exchanges->closes, true);
}

struct exchange *exchange_create(void) {
    return xcalloc(1, sizeof(struct exchange));
}

void exchange_destroy(struct exchange *exchange) {
    if (exchange) {
        buffer_free(&exchange->plan.key_text);
        body_memory_release(&exchange->body);
        free(exchange);
    }
}

/* Does not zero the whole struct: a plan is large and mostly buffers. */
static void exchange_begin(struct exchanges *exchanges, struct exchange *exchange) {
    int64_t now_us = clock_monotonic_us();
    exchange->exchanges = exchanges;
    exchange->request = (struct request){.method = METHOD_OTHER};
    exchange->started_us = now_us;
    exchange->deadline_us = now_us + exchanges->request_timeout_ms * 1000LL;
    exchange->endpoint = exchanges->unknown;
    exchange->plan.carry_out = NULL;
    exchange->plan.runs_script = false;
    exchange->plan.takes_body = false;
    exchange->plan.release = NULL;
    exchange->response = (struct response){0};
}

void exchange_choose_correlation_id(struct slice given, char out[CORRELATION_MAX_BYTES + 1]) {
    if (given.data && correlation_id_acceptable(given)) {
        memcpy(out, given.data, given.len);
        out[given.len] = '\0';
    } else {
        uint8_t id[16];
        uuid_generate_v4(id);
        uuid_format(id, out);
    }
}

static void exchange_set_ids(struct exchange *exchange) {
    exchange_choose_correlation_id(exchange->request.fields[FIELD_CORRELATION_ID],
                                   exchange->correlation_id);
    traceparent_format(traceparent_read(exchange->request.fields[FIELD_TRACEPARENT]),
                       exchange->traceparent);
}

/* The thread's log lines get the exchange's ids. */
static void exchange_bind_log(const struct exchange *exchange) {
    struct slice traceparent = traceparent_read(slice_of(exchange->traceparent));
    log_set_correlation_id(slice_of(exchange->correlation_id));
    log_set_trace_id(traceparent_trace_id(traceparent));
}

static void exchange_unbind_log(void) {
    log_set_correlation_id((struct slice){0});
    log_set_trace_id((struct slice){0});
}

/* Sets what the head of each response has. */
static void exchange_finish_head(struct exchanges *exchanges, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    struct response *response = &exchange->response;
    response->correlation_name = exchanges->headers.correlation_id;
    response->challenge = response->challenge ? response->challenge : exchanges->headers.api_key;
    response->head_only = request->method == METHOD_HEAD;
    response->close = !request->keep_alive || (response->is_stream && !response->chunked) ||
                      atomic_load_explicit(&exchanges->closes, memory_order_relaxed);
    response->sends_keep_alive = request->is_1_0 && !response->close;
    if (response->status == 503 && response->unavailable == UNAVAILABLE_NOT) {
        response->unavailable = UNAVAILABLE_ROUTE;
    }
    problem_apply(response, request);
}

bool exchange_has_streamed(const struct exchange *exchange) {
    return exchange->response.body_stream != NULL;
}

void exchange_begin_stream(struct exchange *exchange) {
    exchange->streams_since_us = clock_monotonic_us();
    request_steps_end();
    exchange_finish_head(exchange->exchanges, exchange);
}

/* The log must be bound to the exchange. */
static void exchange_finish(struct exchanges *exchanges, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    const struct response *response = &exchange->response;
    bool streamed = exchange_has_streamed(exchange);
    int64_t made_us = streamed ? exchange->streams_since_us : clock_monotonic_us();
    int64_t took_us = made_us - exchange->started_us;
    if (!streamed) {
        exchange_finish_head(exchanges, exchange);
    }
    endpoint_count(exchange->endpoint, request->method, response->status, (double)took_us / 1e6);
    if (response->unavailable != UNAVAILABLE_NOT) {
        endpoint_count_unavailable(exchange->endpoint, response->unavailable);
    }
    error_log_write(exchange);
    if (exchanges->slow_us > 0 && took_us >= exchanges->slow_us) {
        error_log_write_slow(exchange, took_us);
    }
    free(exchange->why);
    exchange->why = NULL;
    if (log_enabled(LOG_DEBUG)) {
        log_debug("request answered", LOG_TEXT("endpoint", exchange->endpoint->name),
                  LOG_SLICE("method", request->method_name), LOG_INT("status", response->status),
                  LOG_INT("took_us", took_us));
    }
}

static void exchange_set_refused(struct exchange *exchange, struct refusal refusal) {
    exchange->request.keep_alive = false;
    response_set_error(&exchange->response, refusal.status, refusal.message);
}

bool exchange_plan(struct exchanges *exchanges, struct exchange *exchange, struct slice head) {
    struct refusal refusal;
    exchange_begin(exchanges, exchange);
    bool good = request_parse(head, &exchanges->names, &exchange->request, &refusal);
    exchange_set_ids(exchange);
    exchange_bind_log(exchange);
    if (!good) {
        exchange_set_refused(exchange, refusal);
    } else {
        exchanges->site.plan(exchanges->site.context, exchange);
    }
    if (!exchange->plan.carry_out) {
        exchange_finish(exchanges, exchange);
    }
    exchange_unbind_log();
    return !exchange->plan.carry_out;
}

void exchange_refuse(struct exchanges *exchanges, struct exchange *exchange,
                     struct refusal refusal) {
    exchange_begin(exchanges, exchange);
    exchange_set_ids(exchange);
    exchange_bind_log(exchange);
    exchange_set_refused(exchange, refusal);
    if (refusal.status == 503) { /* the only 503 before a request is parsed */
        exchange->response.unavailable = UNAVAILABLE_CONNECTIONS;
    }
    exchange_finish(exchanges, exchange);
    exchange_unbind_log();
}

bool exchange_awaits_body(const struct exchange *exchange) {
    return exchange->plan.carry_out && exchange->plan.takes_body && exchange->request.has_body;
}

size_t exchange_lacks_bytes(const struct exchange *exchange) {
    return (size_t)exchange->request.body_bytes - exchange->body.len;
}

void exchange_end_body(struct exchanges *exchanges, struct exchange *exchange) {
    exchange->request.keep_alive = exchange->request.keep_alive_after_body;
    exchange->started_us = clock_monotonic_us();
    exchange->deadline_us = exchange->started_us + exchanges->request_timeout_ms * 1000LL;
}

void exchange_refuse_body(struct exchanges *exchanges, struct exchange *exchange,
                          struct refusal refusal) {
    exchange_drop(exchange);
    exchange_bind_log(exchange);
    exchange_set_refused(exchange, refusal);
    if (refusal.status == 503) {
        exchange->response.unavailable = UNAVAILABLE_BODIES;
    }
    exchange_finish(exchanges, exchange);
    exchange_unbind_log();
}

void exchange_carry_out(struct exchanges *exchanges, struct exchange *exchange) {
    exchange_bind_log(exchange);
    request_steps_begin(exchange->started_us);
    if (clock_remaining_ms(exchange->deadline_us) == 0) {
        response_set_unavailable(&exchange->response, UNAVAILABLE_WORKERS);
    } else {
        exchange->plan.carry_out(exchange->plan.context, exchange);
    }
    exchange_drop(exchange);
    exchange_finish(exchanges, exchange);
    exchange_unbind_log();
}

void exchange_drop(struct exchange *exchange) {
    if (exchange->plan.release) {
        exchange->plan.release(exchange->plan.held);
    }
}
