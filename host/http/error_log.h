/* error_log: logs requests that fail, at a bounded rate for each endpoint and endpoint_error_type
 * (log_limit.h). A 404 is not logged. Any thread. */
#pragma once

#include "exchange.h"

/* Logs the response of a finished exchange, with the ids bound to the thread. */
void error_log_write(const struct exchange *exchange);
/* Logs that the answer took longer than http.slow_request_ms, in the same way. */
void error_log_write_slow(const struct exchange *exchange, int64_t took_us);
/* Logs a streamed response that ended before it was whole. */
struct broken_stream {
    struct slice method;
    const char *reason; /* "slow_client" */
    bool failed;        /* the program or the script is at fault, not the client */
    uint64_t bytes;     /* that the route wrote */
    const char *why;    /* NULL: nothing more is known */
};
void error_log_write_broken_stream(struct endpoint *endpoint, const struct broken_stream *stream);
/* When error_log_flush has lines to report next; INT64_MAX: there are none. */
int64_t error_log_due_us(void);
/* Logs how many lines were left out of windows that have ended by now; INT64_MAX: of all. */
void error_log_flush(int64_t now_us);
