/* failures: requests that are answered with an error leave a line in the log, at a bounded rate for
 * each endpoint and kind of error (endpoint_error_type): see log_limit.h. A 404 is an answer like
 * any other and leaves none. Any thread. */
#ifndef AGG_HOST_HTTP_FAILURES_H
#define AGG_HOST_HTTP_FAILURES_H

#include "service.h"

/* Logs the reply of a finished exchange, with the ids that are bound to the thread. */
void failures_log(const struct exchange *exchange);
/* When failures_flush has something to say next; INT64_MAX: never, as it is now. */
int64_t failures_due_us(void);
/* Says how many lines were left out of the windows that have ended by now; INT64_MAX: of all. */
void failures_flush(int64_t now_us);

#endif
