/* stall: finds records that the client does not fetch. The client's own watermarks are stale then,
 * so Kafka is asked for the ends. A partition that has not moved since the last check and is short
 * of its end is fetched again from its offset; if that does not help, the client is replaced. */
#include "base/log.h"
#include "pipeline/topic_waits.h"
#include "worker.h"

#define RESTARTS 1 /* of fetching, before the client is replaced */

/* Transaction markers may follow the last record: end_offset is behind them. */
static bool stall_records_wait(const struct partition *partition) {
    return partition->handler >= 0 && partition->next_offset >= 0 && partition->end_known &&
           partition->high_offset > partition->next_offset &&
           partition->high_offset > partition->end_offset;
}

/* True: it has not moved since the last check. */
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
    log_debug("worker checked for stalled partitions");
    for (size_t i = 0; i < partitions->count; i++) {
        struct partition *partition = &partitions->items[i];
        if (topic_waits_hold(&worker->pipeline, partition)) {
            partition->stalled_offset = -1;
        } else if (stall_note_position(partition)) {
            stalled = true;
            in_vain = in_vain || partition->stalls > RESTARTS;
            log_warning("the kafka client does not fetch waiting records: fetching restarts",
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
