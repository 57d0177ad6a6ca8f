/* encode: encodes a batch's rows as parameters of its upserts. The pipeline's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct batch;
struct err;
struct pipeline;

struct encoded {
    struct encoded_table *tables; /* parallel to the view's; reused by the next batch */
    size_t count;
    bool ready; /* they match the rows */
};

/* Encodes the batch's rows unless they are encoded. */
void encode_rows(struct batch *batch);
/* Call when the rows change. */
void encode_forget(struct batch *batch);
/* Queues one upsert for each table. */
bool encode_send(struct pipeline *pipeline, struct batch *batch, struct err *err);
void encode_free(struct encoded *encoded);
