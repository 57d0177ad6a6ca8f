/* stall: records that wait in Kafka while the client fetches none of them. Its own figures do not
 * tell: what it has not fetched it has not heard of. So Kafka is asked, and a partition that stands
 * where it stood at the look before, short of the end, is read from its offset again; where that
 * does not help, by another client. */
#include "base/log.h"
#include "pipeline/topic_waits.h"
#include "worker.h"

#define RESTARTS 1 /* of the fetching, before another client is opened */

/* Behind the last record there may be offsets without one: end_offset has passed them. */
static bool stall_records_wait(const struct partition *partition) {
    return partition->handler >= 0 && partition->next_offset >= 0 && partition->end_known &&
           partition->high_offset > partition->next_offset &&
           partition->high_offset > partition->end_offset;
}

/* True where it stood there already. */
static bool stall_note_position(struct partition *partition) {
    int64_t before = partition->stalled_offset;
    partition->stalled_offset = stall_records_wait(partition) ? partition->next_offset : -1;
    bool stalled = before >= 0 && before == partition->stalled_offset;
    partition->stalls = stalled ? partition->stalls + 1 : 0;
    return stalled;
}

void stall_look(struct worker *worker) {
    struct partitions *partitions = &worker->pipeline.partitions;
    bool stalled = false, in_vain = false;
    if (!consumer_is_fetching(worker)) {
        return;
    }
    lag_ask_ends(worker);
    log_debug("looked for stalled partitions");
    for (size_t i = 0; i < partitions->count; i++) {
        struct partition *partition = &partitions->items[i];
        if (topic_waits_hold(&worker->pipeline, partition)) {
            partition->stalled_offset = -1;
        } else if (stall_note_position(partition)) {
            stalled = true;
            in_vain = in_vain || partition->stalls > RESTARTS;
            log_warning("records wait that the kafka client does not fetch: it starts again",
                        LOG_TEXT("topic", partition->topic),
                        LOG_INT("partition", partition->number),
                        LOG_INT("offset", partition->next_offset),
                        LOG_INT("log_ends", partition->high_offset));
        }
    }
    if (stalled) {
        metric_add(worker->stalls, 1);
        consumer_restart(worker);
    }
    if (in_vain) {
        reopen_ask(worker, REOPEN_STALLED);
    }
}
