/* workers: threads that carry out plans, which may wait. */
#pragma once

#include "exchange.h"

struct workers;

/* Called on a worker's thread when the response is made or the exchange was abandoned. */
typedef void (*workers_on_done)(struct exchange *exchange);

struct workers *workers_start(struct exchanges *exchanges, int count, workers_on_done on_done,
                              struct err *err);
/* Owns the planned exchange until on_done. The queue is bounded by the number of connections: each
 * has at most one exchange. */
void workers_submit(struct workers *workers, struct exchange *exchange);
/* Every connection must be closed. */
void workers_stop(struct workers *workers);
