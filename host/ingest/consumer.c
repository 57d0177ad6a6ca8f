/* consumer: opens a worker's Kafka client and takes its records. */
#include <stdlib.h>

#include "base/log.h"
#include "pipeline/topic_waits.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "pipeline/batch.h"
#include "worker.h"

#define TURN_US 250000 /* bounds the time between two polls of the client */
#define TURN_EVENTS 1024

/* ---- the log against the offset ------------------------------------------------------------ */

/* The log lacks our offset or is another log: fetch_start chooses a new one. */
static void consumer_note_contradiction(struct worker *worker, struct partition *partition,
                                        const char *reason) {
    log_warning("the log contradicts the committed offset", LOG_TEXT("topic", partition->topic),
                LOG_INT("partition", partition->number),
                LOG_INT("committed", partition->committed_offset), LOG_TEXT("detail", reason));
    partition->contradicted = true;
    consumer_restart(worker);
}

/* The first record of an assignment may be the one before the offset, re-read to recognise the log.
 * True: the log is another one. */
static bool consumer_is_foreign(struct partition *partition, const struct log_record *record) {
    int64_t probe_offset = partition->probe_offset;
    partition->probe_offset = -1;
    return record->offset == probe_offset && record->broker_time_us != partition->committed_time_us;
}

/* Logs once that a record below the offset came. */
static void consumer_note_passed(struct worker *worker, const struct partition *partition,
                                 int64_t offset) {
    if (!worker->logged_repeated) {
        worker->logged_repeated = true;
        log_warning("kafka returned records below the offset: they are dropped",
                    LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->number),
                    LOG_INT("offset", offset), LOG_INT("expected", partition->next_offset));
    }
}

/* ---- taking records ------------------------------------------------------------------------ */

static struct partition *consumer_partition_of(struct worker *worker,
                                               const struct kafka_message *message, size_t *at) {
    struct partitions *partitions = &worker->pipeline.partitions;
    *at = message->topic ? partitions_find(partitions, message->topic, message->partition)
                         : PARTITION_NONE;
    return *at == PARTITION_NONE ? NULL : &partitions->items[*at];
}

/* True: the batch takes the record. */
static bool consumer_is_next(struct worker *worker, struct partition *partition,
                             const struct log_record *record) {
    if (worker->must_load_offsets || !partition) {
        return false; /* it belongs to a revoked assignment */
    }
    bool probed = record->offset == partition->probe_offset;
    if (partition->probe_offset >= 0 && consumer_is_foreign(partition, record)) {
        consumer_note_contradiction(worker, partition, "the record before it has another time");
        return false;
    }
    if (record->offset < partition->next_offset && !probed) {
        consumer_note_passed(worker, partition, record->offset);
    }
    /* A topic that new scripts do not declare keeps its offset until it is revoked. */
    return record->offset >= partition->next_offset && partition->handler >= 0 &&
           !topic_waits_hold(&worker->pipeline, partition);
}

static void consumer_take(struct worker *worker, const struct kafka_message *message) {
    size_t at;
    struct partition *partition = consumer_partition_of(worker, message, &at);
    struct log_record record = log_record_of_kafka(message, at);
    if (consumer_is_next(worker, partition, &record)) {
        trouble_end_partition(worker, partition);
        batch_take(&worker->pipeline, worker->filling, &record);
    } else {
        kafka_message_release(record.owner);
    }
}

/* Kafka refuses topics whose names differ only in . and _. */
static bool consumer_is_same_to_kafka(const char *one, const char *other) {
    for (; *one && *other; one++, other++) {
        bool both = (*one == '.' || *one == '_') && (*other == '.' || *other == '_');
        if (*one != *other && !both) {
            return false;
        }
    }
    return *one == *other;
}

/* Scripts may declare both spellings of a topic: one of them cannot exist. */
static bool consumer_has_other_spelling(const struct worker *worker, const char *topic) {
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(worker->pipeline.generation, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (strcmp(handlers[i].topics[t], topic) != 0 &&
                consumer_is_same_to_kafka(handlers[i].topics[t], topic)) {
                return true;
            }
        }
    }
    return false;
}

static void consumer_log_missing_topic(const struct worker *worker,
                                       const struct kafka_message *message) {
    const char *topic = message->topic ? message->topic : "";
    if (consumer_has_other_spelling(worker, topic)) {
        log_debug("one of two spellings of a topic does not exist", LOG_TEXT("topic", topic));
    } else {
        log_warning("a topic does not exist", LOG_TEXT("detail", message->detail));
    }
}

static void consumer_note_error(struct worker *worker, const struct kafka_message *message) {
    size_t at;
    struct partition *partition = consumer_partition_of(worker, message, &at);
    switch (message->error.kind) {
    case KAFKA_ERROR_END:
        if (partition) {
            partition->end_offset = message->offset;
            trouble_end_partition(worker, partition);
        }
        break;
    case KAFKA_ERROR_NO_OFFSET:
        if (partition) {
            consumer_note_contradiction(worker, partition, message->detail);
        }
        break;
    case KAFKA_ERROR_NO_TOPIC:
        consumer_log_missing_topic(worker, message);
        if (partition) { /* ours: checks whether it is the same topic when it returns */
            consumer_restart(worker);
        }
        break;
    case KAFKA_ERROR_FATAL:
        reopen_ask_failed(worker);
        log_warning("the kafka client failed", LOG_TEXT("error", message->detail));
        metric_add(worker->errors, 1);
        break;
    default:
        trouble_note_message(worker, partition, message);
        metric_add(worker->errors, 1);
    }
    kafka_message_release(message->owner);
}

/* True when the queue ran dry. */
static bool consumer_take_records(struct worker *worker) {
    for (size_t taken = 0; taken < TURN_EVENTS && !batch_full(&worker->pipeline, worker->filling);
         taken++) {
        struct kafka_message message;
        if (!kafka_consumer_next(worker->kafka, 0, &message)) {
            return true;
        }
        worker->client_events++;
        if (message.error.kind != KAFKA_ERROR_NONE) {
            consumer_note_error(worker, &message);
        } else {
            consumer_take(worker, &message);
        }
    }
    return false;
}

bool consumer_fill(struct worker *worker, bool may_take) {
    bool dry = !may_take || consumer_take_records(worker);
    struct batch *batch = worker->filling;
    if (batch->handled < batch->count) {
        dry = batch_handle(&worker->pipeline, batch, TURN_US) && dry;
    }
    if (batch->count > 0 && batch->waiting == batch->count) {
        batch_clear(&worker->pipeline, batch);
    }
    return dry;
}

bool consumer_is_fetching(const struct worker *worker) {
    return worker->has_assignment && !worker->must_load_offsets;
}

void consumer_restart(struct worker *worker) {
    rebalance_drop_batches(worker);
    if (!worker->has_assignment || worker->must_load_offsets) {
        return;
    }
    worker->must_load_offsets = true;
    struct err err = {0};
    if (!kafka_consumer_fetch(worker->kafka, NULL, 0, &err)) {
        log_warning("cannot stop fetching", LOG_TEXT("error", err.text));
    }
}

/* ---- the client --------------------------------------------------------------------------- */

/* The caller frees the array; the generation owns the names. */
static const char **consumer_declared_topics(const struct script_generation *generation,
                                             size_t *count) {
    size_t handler_count, all = 0;
    const struct script_handler *handlers = script_generation_handlers(generation, &handler_count);
    for (size_t i = 0; i < handler_count; i++) {
        all += handlers[i].topic_count;
    }
    const char **topics = xcalloc(all + 1, sizeof *topics);
    *count = 0;
    for (size_t i = 0; i < handler_count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            topics[(*count)++] = handlers[i].topics[t];
        }
    }
    return topics;
}

bool consumer_subscribe(struct worker *worker, struct err *err) {
    size_t count;
    trouble_forget_topics(worker);
    if (atomic_load(&worker->held)) {
        return true;
    }
    const char **topics = consumer_declared_topics(worker->pipeline.generation, &count);
    bool ok = kafka_consumer_subscribe(worker->kafka, topics, count, err);
    free(topics);
    if (ok) {
        atomic_store(&worker->subscribed, true);
    }
    return ok;
}

struct kafka_place *consumer_places(const struct worker *worker) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    struct kafka_place *places = xcalloc(partitions->count + 1, sizeof *places);
    for (size_t i = 0; i < partitions->count; i++) {
        places[i].topic = partitions->items[i].topic;
        places[i].partition = partitions->items[i].number;
    }
    return places;
}

static void consumer_on_client_error(void *worker, const struct kafka_error *error,
                                     const char *detail) {
    trouble_note_client(worker, error, detail);
    coordinator_note_error(worker, detail);
}

bool consumer_open(struct worker *worker, struct err *err) {
    struct kafka_member_calls calls = {rebalance, consumer_on_client_error, worker};
    struct kafka_consumer_options options = {
        .settings = config_kafka_settings(worker->config),
        .member = worker->number,
        .nice = worker->config->ingest.nice,
        .calls = &calls,
    };
    worker->kafka = kafka_consumer_open(&options, err);
    if (!worker->kafka) {
        return false;
    }
    worker->kafka_offsets = (struct kafka_offsets){0};
    reopen_note_opened(worker);
    return consumer_subscribe(worker, err);
}

void consumer_close(struct worker *worker) {
    if (!worker->kafka) {
        return;
    }
    kafka_offsets_report_last(worker);
    kafka_consumer_leave(worker->kafka);
    rebalance_forget(worker); /* a client with a fatal error revokes nothing */
    kafka_consumer_destroy(worker->kafka);
    trouble_forget_topics(worker);
    coordinator_forget(worker);
    worker->kafka = NULL;
}
