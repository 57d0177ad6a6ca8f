/* encode: a batch's rows as the parameters of its upserts. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_ENCODE_H
#define AGG_HOST_PIPELINE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

struct batch;
struct err;
struct pipeline;

struct encoded {
    struct encoded_table *tables; /* parallel to the view's; kept from batch to batch */
    size_t count;
    bool ready; /* they are of the rows as they are now */
};

/* Encodes the batch's rows, unless that is done. */
void encode_rows(struct batch *batch);
/* The rows have changed, or will. */
void encode_forget(struct batch *batch);
/* Queues the upserts of the batch's rows, table by table. */
bool encode_send(struct pipeline *pipeline, struct batch *batch, struct err *err);
void encode_free(struct encoded *encoded);

#endif
