/* encode: encodes a batch's rows as parameters of its upserts. The pipeline's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct batch;
struct err;
struct pipeline;

/* Of a pipeline: libpq copies the parameters when they are queued, so that the next batch can be
 * encoded while the one before is committed. */
struct encoded {
    struct encoded_table *tables; /* parallel to the view's; reused by the next batch */
    size_t count;
    const struct batch *batch; /* whose rows they hold while its `is_encoded` stays */
};

/* Encodes the batch's rows unless they are encoded. Another batch's are lost. */
void encode_rows(struct pipeline *pipeline, struct batch *batch);
/* Call when the rows change. */
void encode_forget(struct batch *batch);
/* Queues one upsert for each table. */
bool encode_send(struct pipeline *pipeline, struct batch *batch, struct err *err);
void encode_free(struct encoded *encoded);
