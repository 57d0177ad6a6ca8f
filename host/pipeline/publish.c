/* publish: what handlers publish is stored in the transaction that has the merges of their events:
 * it is there if and only if they are. */
#include "pipeline.h"

bool publish_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    size_t count;
    const struct outbox_message *messages = merge_messages(batch->merge, &count);
    return !pipeline->options.marks || outbox_send(pipeline->pg, pipeline->params, messages, count,
                                                   pipeline->config->outbox.horizon_hours, err);
}
