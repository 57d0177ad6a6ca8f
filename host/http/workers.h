/* workers: the threads that answer what an event loop may not wait for. */
#ifndef AGG_HOST_HTTP_WORKERS_H
#define AGG_HOST_HTTP_WORKERS_H

#include "exchange.h"

struct workers;

/* Called on a worker's thread when the response is made or, where it was abandoned, not wanted. */
typedef void (*workers_on_done)(struct exchange *exchange);

struct workers *workers_start(struct exchanges *exchanges, int count, workers_on_done on_done,
                              struct err *err);
/* Takes the planned exchange until on_done. The queue needs no bound of its own: a connection has
 * at most one and connections are bounded. */
void workers_submit(struct workers *workers, struct exchange *exchange);
/* No exchange is left: every connection has gone. */
void workers_stop(struct workers *workers);

#endif
