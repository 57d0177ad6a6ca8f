/* transaction: the statements of a batch's transaction in their order. commit.c pipelines them,
 * bisect.c waits for each. The pipeline's thread. */
#pragma once

#include "bindings/pg.h"
#include "bindings/pg_position.h"
#include "outbox/outbox.h"
#include "batch.h"

struct transaction {
    const struct batch *batch; /* being committed; NULL: none */
    bool opened_breaker;       /* the commit failed because the breaker opened */
    uint64_t rows_sent;
    uint64_t rows_written; /* inserted or updated by its INSERT statements */
    struct outbox_stored stored;
    bool acknowledged;           /* the reply to COMMIT has the tag COMMIT */
    struct pg_position position; /* of the commit, for who reads from replicas; else unknown */
    int64_t started_us;
    int64_t deadline_us;
};

void transaction_reset(struct pipeline *pipeline);
/* Queues a statement without parameters. */
bool transaction_send_plain(struct pipeline *pipeline, const char *sql, struct err *err);
/* Queues BEGIN, and what the database needs before writes. */
bool transaction_send_begin(struct pipeline *pipeline, struct err *err);
/* Queues the new offsets, or the deletion of the retried events from rejected_events. */
bool transaction_send_position(struct pipeline *pipeline, const struct batch *batch,
                               struct err *err);
/* Queues the locks that transaction_send_position takes, alone. */
bool transaction_send_locks(struct pipeline *pipeline, const struct batch *batch, struct err *err);
/* Queues the selected rows and the messages of the selected events. */
bool transaction_send_rows(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Queues the rows of events that were not applied, and the marks of the batch. */
bool transaction_send_rest(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Queues COMMIT, and asks for the commit's position where caches are told of it. */
bool transaction_send_commit(struct pipeline *pipeline, struct err *err);
/* Callback of pg_progress and pg_finish: notes the COMMIT's tag and the rows written; context is
 * the pipeline. */
bool transaction_note(void *context, size_t index, struct pg_result *result, struct err *err);
/* False: the server rolled back, and err is set. */
bool transaction_acknowledged(const struct pipeline *pipeline, struct err *err);
