/* error_log: requests that are answered with an error leave a line in the log, at a bounded rate
 * for each endpoint and kind of error (endpoint_error_type): see log_limit.h. A 404 is an answer
 * like any other and leaves none. Any thread. */
#ifndef AGG_HOST_HTTP_ERROR_LOG_H
#define AGG_HOST_HTTP_ERROR_LOG_H

#include "exchange.h"

/* Logs the response of a finished exchange, with the ids that are bound to the thread. */
void error_log_write(const struct exchange *exchange);
/* When error_log_flush has something to say next; INT64_MAX: never, as it is now. */
int64_t error_log_due_us(void);
/* Says how many lines were left out of the windows that have ended by now; INT64_MAX: of all. */
void error_log_flush(int64_t now_us);

#endif
