/* fetch_start: chooses the start offset of each assigned partition: the database's, unless the log
 * lacks it or is another log. The client gets numbers only: with "beginning" or "end"
 * librdkafka 2.0 may apply a late reply to a later assignment and read records twice or never. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "pipeline/database_offsets.h"
#include "pipeline/inherited.h"
#include "pipeline/topic_waits.h"
#include "worker.h"

#define BOUNDS_TIMEOUT_MS 3000
#define UNPLACED_FIRST_US 250000
#define UNPLACED_LAST_US 5000000

/* Unknown bounds are negative. */
struct bounds {
    int64_t low, high;
};

static int64_t fetch_start_bound_of(const struct kafka_place *place) {
    return place->error.kind == KAFKA_ERROR_NONE ? place->offset : -1;
}

static bool fetch_start_is_latest(const struct worker *worker) {
    return strcmp(worker->config->kafka.auto_offset_reset, "latest") == 0;
}

static void fetch_start_log_move(const struct partition *partition, const char *what, int64_t next,
                                 struct bounds bounds) {
    log_error(what, LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->number),
              LOG_INT("committed", partition->next_offset), LOG_INT("resumes_at", next),
              LOG_INT("log_begins", bounds.low), LOG_INT("log_ends", bounds.high));
}

/* Kafka has deleted records from the offset on. Those that a replay was to read again are no loss.
 */
static void fetch_start_note_deleted(struct worker *worker, const struct partition *partition,
                                     struct bounds bounds) {
    int64_t committed = partition->next_offset;
    int64_t unread = committed > partition->passed_offset ? committed : partition->passed_offset;
    if (bounds.low <= unread) {
        log_warning("a replay begins later: Kafka has deleted the records before",
                    LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->number),
                    LOG_INT("replay_from", committed), LOG_INT("log_begins", bounds.low));
        return;
    }
    fetch_start_log_move(partition, "events were deleted by Kafka before they were read",
                         bounds.low, bounds);
    metric_add(worker->deleted, (double)(bounds.low - unread));
}

/* The start offset; -1: unknown until Kafka replies. */
static int64_t fetch_start_choose(struct worker *worker, struct partition *partition,
                                  struct bounds bounds) {
    int64_t committed = partition->next_offset;
    bool contradicted = partition->contradicted;
    if (bounds.low < 0 || bounds.high < 0) {
        return committed; /* its leader is unavailable */
    }
    partition->contradicted = false;
    if (committed < 0) {
        return fetch_start_is_latest(worker) ? bounds.high : bounds.low;
    }
    if (committed < bounds.low) {
        fetch_start_note_deleted(worker, partition, bounds);
        return bounds.low;
    }
    /* Kafka lacks the offset for another reason than deletion. */
    if (committed > bounds.high || contradicted) {
        fetch_start_log_move(partition,
                             "the topic was recreated or truncated: reading it from its start",
                             bounds.low, bounds);
        return bounds.low;
    }
    return committed;
}

/* ---- the assignment ------------------------------------------------------------------------ */

bool fetch_assign(struct worker *worker, struct err *err) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    struct kafka_place *places = consumer_places(worker);
    size_t count = 0;
    worker->unplaced = 0;
    for (size_t i = 0; i < partitions->count; i++) {
        const struct partition *partition = &partitions->items[i];
        if (partition->next_offset < 0) {
            worker->unplaced++;
            continue;
        }
        if (topic_waits_hold(&worker->pipeline, partition) || FAULT_MISSES("fetch_partition")) {
            continue;
        }
        places[count] = places[i];
        places[count++].offset =
            partition->probe_offset >= 0 ? partition->probe_offset : partition->next_offset;
    }
    bool ok = kafka_consumer_fetch(worker->kafka, places, count, err);
    free(places);
    return ok;
}

/* Plans to re-read the record before the offset, if the log has it. If its time differs, the topic
 * was recreated, and every record is new. */
static void fetch_start_plan_probe(struct partition *partition, int64_t low) {
    bool possible = partition->committed_time_us > 0 && low >= 0 && partition->next_offset > low;
    partition->probe_offset = possible ? partition->next_offset - 1 : -1;
}

static bool fetch_start_place_all(struct worker *worker, struct err *err) {
    struct partitions *partitions = &worker->pipeline.partitions;
    struct kafka_place *lows = consumer_places(worker), *highs = consumer_places(worker);
    int64_t *next = xcalloc(partitions->count + 1, sizeof *next);
    kafka_consumer_ask(worker->kafka, lows, partitions->count, KAFKA_LOG_BEGIN, BOUNDS_TIMEOUT_MS);
    kafka_consumer_ask(worker->kafka, highs, partitions->count, KAFKA_LOG_END, BOUNDS_TIMEOUT_MS);
    for (size_t i = 0; i < partitions->count; i++) {
        struct bounds bounds = {fetch_start_bound_of(&lows[i]), fetch_start_bound_of(&highs[i])};
        next[i] = fetch_start_choose(worker, &partitions->items[i], bounds);
        partitions->items[i].high_offset = bounds.high;
    }
    bool ok = offsets_move(&worker->pipeline, next, err);
    for (size_t i = 0; ok && i < partitions->count; i++) {
        fetch_start_plan_probe(&partitions->items[i], fetch_start_bound_of(&lows[i]));
    }
    free(lows);
    free(highs);
    free(next);
    return ok;
}

/* A new topic gets its leaders in a moment; an unavailable broker may need long. */
static void fetch_start_plan_next_try(struct worker *worker) {
    if (worker->unplaced == 0) {
        worker->unplaced_wait_us = 0;
        return;
    }
    int64_t wait_us = worker->unplaced_wait_us ? worker->unplaced_wait_us * 2 : UNPLACED_FIRST_US;
    worker->unplaced_wait_us = wait_us < UNPLACED_LAST_US ? wait_us : UNPLACED_LAST_US;
    worker->check_at_us = clock_monotonic_us() + worker->unplaced_wait_us;
}

/* ---- with auto_offset_reset = "latest" ------------------------------------------------------ */

struct fetch_start_list {
    const struct partitions *assigned;
    struct partitions all; /* of the topics of those assigned */
};

static void fetch_start_add_listed(void *context, const char *topic, int32_t number) {
    struct fetch_start_list *list = context;
    for (size_t i = 0; i < list->assigned->count; i++) {
        if (strcmp(list->assigned->items[i].topic, topic) == 0) {
            partitions_add(&list->all, topic, number);
            return;
        }
    }
}

/* The first worker of the group that reads a topic inserts the rows of all its partitions, those of
 * other workers and those without a leader, too: they start at the end. All records of a partition
 * that lacks its row later are new: it starts at 0. */
static bool fetch_start_add_topics(struct worker *worker, struct err *err) {
    struct fetch_start_list list = {.assigned = &worker->pipeline.partitions};
    bool all = false;
    bool ok = offsets_have_rows(&worker->pipeline, &all, err);
    if (ok && !all) {
        ok = kafka_consumer_list(worker->kafka, fetch_start_add_listed, &list, err) &&
             offsets_add_topics(&worker->pipeline, &list.all, err);
    }
    partitions_clear(&list.all);
    return ok;
}

/* ---- the start ------------------------------------------------------------------------------ */

bool fetch_start(struct worker *worker, struct err *err) {
    struct pipeline *pipeline = &worker->pipeline;
    if ((fetch_start_is_latest(worker) && !fetch_start_add_topics(worker, err)) ||
        !offsets_load(pipeline, err)) {
        return false;
    }
    inherited_announce(pipeline);
    if (!fetch_start_place_all(worker, err)) {
        return false;
    }
    pipeline_find_handlers(pipeline);
    for (size_t i = 0; i < pipeline->partitions.count; i++) {
        struct partition *partition = &pipeline->partitions.items[i];
        partition->end_offset = -1;
        partition->trouble.retry_at_us = 0; /* its offset may have changed */
    }
    if (!fetch_assign(worker, err)) {
        return false;
    }
    fetch_start_plan_next_try(worker);
    worker->must_load_offsets = false;
    worker->logged_repeated = false;
    worker->measure_at_us = 0; /* the lag is known now */
    atomic_store(&worker->assigned, true);
    return true;
}
