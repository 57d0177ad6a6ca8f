/* consumer: the Kafka side of a worker: the client, what it takes, and where it starts, which is
 * what Postgres says. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../clock.h"
#include "../log.h"
#include "kafka_client.h"
#include "worker.h"

/* Handling of one turn's messages should not keep the worker from polling for longer. */
#define TURN_US 250000
#define TAKE_FIRST 64

/* ---- taking messages ----------------------------------------------------------------------- */

/* A record that the database's offset has passed must not count again, wherever it comes from. Only
 * where the log ends before that offset it is another log (a topic made anew), and all of it is
 * news. */
static bool is_passed(struct worker *worker, const struct partition *partition, int64_t offset) {
    int64_t low, high;
    if (offset >= partition->next_offset ||
        rd_kafka_get_watermark_offsets(worker->kafka, partition->topic, partition->number, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    if (high >= partition->next_offset) {
        return true;
    }
    log_error("the log ends before the offset that was committed: it is read from its beginning",
              LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->number),
              LOG_INT("committed", partition->next_offset), LOG_INT("end", high));
    return false;
}

static void take(struct worker *worker, rd_kafka_message_t *record) {
    struct pipeline *pipeline = &worker->pipeline;
    size_t partition =
        partitions_find(&pipeline->partitions, rd_kafka_topic_name(record->rkt), record->partition);
    if (worker->must_load_offsets || partition == PARTITION_NONE) {
        rd_kafka_message_destroy(record); /* of an assignment that is no more */
        return;
    }
    if (is_passed(worker, &pipeline->partitions.items[partition], record->offset)) {
        log_warning("a record came again", LOG_TEXT("topic", rd_kafka_topic_name(record->rkt)),
                    LOG_INT("partition", record->partition), LOG_INT("offset", record->offset));
        rd_kafka_message_destroy(record);
        return;
    }
    struct message message = kafka_client_message(record, partition);
    batch_take(pipeline, worker->filling, &message);
}

static void note_error(struct worker *worker, rd_kafka_message_t *record) {
    if (record->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        log_warning("consumer error", LOG_TEXT("error", rd_kafka_message_errstr(record)));
        metric_add(worker->errors, 1);
    }
    rd_kafka_message_destroy(record);
}

/* True when the queue ran dry. */
static bool take_messages(struct worker *worker, size_t *first) {
    for (size_t taken = 0;
         taken < worker->take_limit && !batch_full(&worker->pipeline, worker->filling); taken++) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(worker->kafka, 0);
        if (worker->filling->count < *first) {
            *first = worker->filling->count; /* a rebalance inside poll emptied the batch */
        }
        if (!record) {
            return true;
        }
        if (record->err) {
            note_error(worker, record);
        } else {
            take(worker, record);
        }
    }
    return false;
}

bool consumer_fill(struct worker *worker) {
    size_t first = worker->filling->count;
    bool dry = take_messages(worker, &first);
    if (worker->filling->count > first) {
        int64_t started_us = clock_monotonic_us();
        batch_handle(&worker->pipeline, worker->filling, first);
        bool slow = clock_monotonic_us() - started_us > TURN_US;
        size_t most = (size_t)worker->config->ingest.batch_max_events;
        size_t next = slow ? worker->take_limit / 4 : worker->take_limit * 2;
        worker->take_limit = next < 1 ? 1 : next > most ? most : next;
    }
    return dry;
}

/* ---- where to start ------------------------------------------------------------------------ */

void consumer_restart(struct worker *worker) {
    rebalance_drop_batches(worker);
    if (!worker->assignment || worker->must_load_offsets) {
        return;
    }
    worker->must_load_offsets = true;
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_resp_err_t code = rd_kafka_assign(worker->kafka, none);
    rd_kafka_topic_partition_list_destroy(none);
    if (code) {
        log_warning("cannot stop fetching", LOG_TEXT("error", rd_kafka_err2str(code)));
    }
}

static int64_t start_offset(const struct worker *worker, int64_t next_offset) {
    if (next_offset >= 0) {
        return next_offset;
    }
    bool latest = strcmp(worker->config->kafka.auto_offset_reset, "latest") == 0;
    return latest ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

bool consumer_load_offsets(struct worker *worker, struct err *err) {
    struct pipeline *pipeline = &worker->pipeline;
    if (!offsets_load(pipeline, err)) {
        return false;
    }
    for (size_t i = 0; i < pipeline->partitions.count; i++) {
        struct partition *partition = &pipeline->partitions.items[i];
        rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_find(
            worker->assignment, partition->topic, partition->number);
        partition->handler = script_handler_of(pipeline->generation, partition->topic);
        if (element) {
            element->offset = start_offset(worker, partition->next_offset);
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(worker->kafka, worker->assignment);
    if (code) {
        return err_set(err, ERR_UNAVAILABLE, "cannot assign partitions: %s",
                       rd_kafka_err2str(code));
    }
    worker->must_load_offsets = false;
    atomic_store(&worker->assigned, true);
    return true;
}

void consumer_report_offsets(struct worker *worker) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < partitions->count; i++) {
        const struct partition *partition = &partitions->items[i];
        if (partition->next_offset >= 0) {
            rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
                partition->next_offset;
        }
    }
    if (list->cnt > 0) {
        (void)rd_kafka_commit(worker->kafka, list, 1); /* for lag tools only: failure is harmless */
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- lag ----------------------------------------------------------------------------------- */

static void set_lag(const struct partition *partition, double messages, double seconds) {
    char number[16];
    snprintf(number, sizeof number, "%d", partition->number);
    struct metric *of_messages = metric_family(
        METRIC_GAUGE, "ras_consumer_lag_messages",
        "Messages between the committed offset and the end of the partition.", "topic,partition");
    struct metric *of_seconds = metric_family(
        METRIC_GAUGE, "ras_consumer_lag_seconds",
        "Age of the newest message taken while more wait, else 0.", "topic,partition");
    metric_set(metric_cell(of_messages, partition->topic, number), messages);
    metric_set(metric_cell(of_seconds, partition->topic, number), seconds);
}

void consumer_measure_lag(struct worker *worker) {
    for (size_t i = 0; i < worker->pipeline.partitions.count; i++) {
        const struct partition *partition = &worker->pipeline.partitions.items[i];
        int64_t low = 0, high = 0;
        if (rd_kafka_get_watermark_offsets(worker->kafka, partition->topic, partition->number, &low,
                                           &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
            high < 0) {
            continue;
        }
        int64_t next = partition->next_offset >= 0 ? partition->next_offset : low;
        int64_t age_us = partition->broker_time_us > 0 && high > next
                             ? clock_wall_us() - partition->broker_time_us
                             : 0;
        set_lag(partition, high > next ? (double)(high - next) : 0, (double)age_us / 1e6);
    }
}

void consumer_forget_lag(struct worker *worker) {
    for (size_t i = 0; i < worker->pipeline.partitions.count; i++) {
        set_lag(&worker->pipeline.partitions.items[i], 0, 0);
    }
}

/* ---- the client --------------------------------------------------------------------------- */

static bool subscribe(struct worker *worker, struct err *err) {
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(worker->pipeline.generation, &count);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            rd_kafka_topic_partition_list_add(topics, handlers[i].topics[t], RD_KAFKA_PARTITION_UA);
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(worker->kafka, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code) {
        return err_set(err, ERR_INTERNAL, "cannot subscribe: %s", rd_kafka_err2str(code));
    }
    return true;
}

bool consumer_open(struct worker *worker, struct err *err) {
    worker->take_limit = TAKE_FIRST;
    rd_kafka_conf_t *conf = kafka_client_conf(worker->config, err);
    if (!conf) {
        return false;
    }
    rd_kafka_conf_set_opaque(conf, worker);
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    worker->kafka = kafka_client_consumer(conf, err);
    if (!worker->kafka) {
        return false;
    }
    worker->kafka_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->kafka_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot make an eventfd");
    }
    uint64_t one = 1; /* an eventfd takes eight bytes */
    worker->queue = rd_kafka_queue_get_consumer(worker->kafka);
    rd_kafka_queue_io_event_enable(worker->queue, worker->kafka_fd, &one, sizeof one);
    return subscribe(worker, err);
}

void consumer_close(struct worker *worker) {
    if (!worker->kafka) {
        return;
    }
    rd_kafka_queue_io_event_enable(worker->queue, -1, NULL, 0);
    rd_kafka_resp_err_t code = rd_kafka_consumer_close(worker->kafka);
    if (code) {
        log_warning("leaving the group failed", LOG_TEXT("error", rd_kafka_err2str(code)));
    }
    rd_kafka_queue_destroy(worker->queue);
    rd_kafka_destroy(worker->kafka);
    close(worker->kafka_fd);
    if (worker->assignment) {
        rd_kafka_topic_partition_list_destroy(worker->assignment);
        worker->assignment = NULL;
    }
    worker->kafka = NULL;
}
