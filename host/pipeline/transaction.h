/* transaction: the statements of a batch's transaction, in the order in which they are sent.
 * commit.c sends them at once, bisect.c one by one. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_TRANSACTION_H
#define AGG_HOST_PIPELINE_TRANSACTION_H

#include "bindings/pg.h"
#include "outbox/outbox.h"
#include "batch.h"

struct transaction {
    const struct batch *batch; /* whose transaction is under way; NULL: none */
    bool opened_breaker;       /* it was not begun or not ended, because the breaker has opened */
    uint64_t rows_sent;
    uint64_t rows_written;       /* what its INSERT statements have inserted or updated */
    struct outbox_stored stored; /* of the messages that it stores */
    bool acknowledged;           /* COMMIT was answered by COMMIT */
    int64_t started_us;
    int64_t deadline_us;
};

/* Nothing of the batch's is sent or written yet. */
void transaction_reset(struct pipeline *pipeline);
/* Queues a statement without parameters. */
bool transaction_send_plain(struct pipeline *pipeline, const char *sql, struct err *err);
/* Queues how far the batch moves: the offsets, or the retried events that leave rejected_events. */
bool transaction_send_position(struct pipeline *pipeline, const struct batch *batch,
                               struct err *err);
/* Queues the selected rows and what the selected events publish. */
bool transaction_send_rows(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Queues what is kept of events that were not applied, and the marks of the whole batch. */
bool transaction_send_rest(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* For pg_progress and pg_finish: notes the COMMIT's tag and the rows written; context is the
 * pipeline. */
bool transaction_note(void *context, size_t index, struct pg_result *result, struct err *err);
/* Whether COMMIT was acknowledged. False: err says that the server has rolled back. */
bool transaction_acknowledged(const struct pipeline *pipeline, struct err *err);

#endif
