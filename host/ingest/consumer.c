/* consumer: the Kafka side of a worker: the client, and what it takes. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "../base/aside.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../../bindings/kafka_login.h"
#include "../pipeline/topic_waits.h"
#include "kafka_client.h"
#include "worker.h"

/* Handling should not keep the worker from polling for longer. */
#define TURN_US 250000
#define TURN_EVENTS 1024
/* How long leaving the group may take. */
#define CLOSE_TIMEOUT_US 5000000
#define CLOSE_POLL_MS 100
#define DESTROY_TIMEOUT_MS 1000

/* ---- the log against the offset ------------------------------------------------------------ */

/* The log does not have our offset, or is another one: start_fetching decides what follows. */
static void note_contradiction(struct worker *worker, struct partition *partition,
                               const char *reason) {
    log_warning("the log contradicts the committed offset", LOG_TEXT("topic", partition->topic),
                LOG_INT("partition", partition->number),
                LOG_INT("committed", partition->committed_offset), LOG_TEXT("detail", reason));
    partition->contradicted = true;
    consumer_restart(worker);
}

/* The first record of an assignment may be the one in front of the offset, read to be recognised.
 * True: it is another one. */
static bool is_foreign(struct partition *partition, const struct message *message) {
    int64_t probe_offset = partition->probe_offset;
    partition->probe_offset = -1;
    return message->offset == probe_offset &&
           message->broker_time_us != partition->committed_time_us;
}

/* A record that the offset has passed must not count again, wherever it comes from. */
static void note_passed(struct worker *worker, const struct partition *partition, int64_t offset) {
    if (!worker->came_again) {
        worker->came_again = true;
        log_warning("records came again, and are dropped", LOG_TEXT("topic", partition->topic),
                    LOG_INT("partition", partition->number), LOG_INT("offset", offset),
                    LOG_INT("expected", partition->next_offset));
    }
}

/* ---- taking messages ----------------------------------------------------------------------- */

static struct partition *partition_of(struct worker *worker, const rd_kafka_message_t *record,
                                      size_t *at) {
    struct partitions *partitions = &worker->pipeline.partitions;
    *at = record->rkt
              ? partitions_find(partitions, rd_kafka_topic_name(record->rkt), record->partition)
              : PARTITION_NONE;
    return *at == PARTITION_NONE ? NULL : &partitions->items[*at];
}

/* Whether the record is the batch's to take. */
static bool is_next(struct worker *worker, struct partition *partition,
                    const struct message *message) {
    if (worker->must_load_offsets || !partition) {
        return false; /* of an assignment that is no more */
    }
    bool probed = message->offset == partition->probe_offset;
    if (partition->probe_offset >= 0 && is_foreign(partition, message)) {
        note_contradiction(worker, partition, "the record in front of it is another one");
        return false;
    }
    if (message->offset < partition->next_offset && !probed) {
        note_passed(worker, partition, message->offset);
    }
    /* A topic that the scripts no longer declare keeps its offset until the group gives it away. */
    return message->offset >= partition->next_offset && partition->handler >= 0 &&
           !topic_waits_hold(&worker->pipeline, partition);
}

static void take(struct worker *worker, rd_kafka_message_t *record) {
    size_t at;
    struct partition *partition = partition_of(worker, record, &at);
    if (kafka_client_refill_is_due(&worker->taken_bytes, record) && worker->assignment) {
        kafka_client_refill(worker->kafka, worker->assignment);
    }
    struct message message = kafka_client_message(record, at);
    if (is_next(worker, partition, &message)) {
        trouble_note_good(worker, partition);
        batch_take(&worker->pipeline, worker->filling, &message);
    } else {
        rd_kafka_message_destroy(record);
    }
}

/* Kafka keeps names that differ in . and _ alone from being there side by side. */
static bool is_same_to_kafka(const char *one, const char *other) {
    for (; *one && *other; one++, other++) {
        bool both = (*one == '.' || *one == '_') && (*other == '.' || *other == '_');
        if (*one != *other && !both) {
            return false;
        }
    }
    return *one == *other;
}

/* Scripts that declare both spellings of a topic know that one of them is not there. */
static bool has_other_spelling(const struct worker *worker, const char *topic) {
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(worker->pipeline.generation, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (strcmp(handlers[i].topics[t], topic) != 0 &&
                is_same_to_kafka(handlers[i].topics[t], topic)) {
                return true;
            }
        }
    }
    return false;
}

static void log_missing_topic(const struct worker *worker, const rd_kafka_message_t *record) {
    const char *topic = record->rkt ? rd_kafka_topic_name(record->rkt) : "";
    if (has_other_spelling(worker, topic)) {
        log_debug("of two spellings of a topic one is not there", LOG_TEXT("topic", topic));
    } else {
        log_warning("a topic is not there", LOG_TEXT("detail", rd_kafka_message_errstr(record)));
    }
}

static void note_error(struct worker *worker, rd_kafka_message_t *record) {
    size_t at;
    struct partition *partition = partition_of(worker, record, &at);
    const char *text = rd_kafka_message_errstr(record);
    switch (record->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (partition) {
            partition->end_offset = record->offset;
            trouble_note_good(worker, partition);
        }
        break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        if (partition) {
            note_contradiction(worker, partition, text);
        }
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        log_missing_topic(worker, record);
        if (partition) { /* of ours: when it is back, is it the same? */
            consumer_restart(worker);
        }
        break;
    case RD_KAFKA_RESP_ERR__FATAL:
        reopen_ask_failed(worker);
        log_warning("consumer error", LOG_TEXT("error", text));
        metric_add(worker->errors, 1);
        break;
    default:
        trouble_note_record(worker, partition, record);
        metric_add(worker->errors, 1);
    }
    rd_kafka_message_destroy(record);
}

/* True when the queue ran dry. */
static bool take_messages(struct worker *worker) {
    for (size_t taken = 0; taken < TURN_EVENTS && !batch_full(&worker->pipeline, worker->filling);
         taken++) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(worker->kafka, 0);
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

bool consumer_fill(struct worker *worker, bool may_take) {
    bool dry = !may_take || take_messages(worker);
    struct batch *batch = worker->filling;
    if (batch->handled < batch->count) {
        dry = batch_handle_for(&worker->pipeline, batch, TURN_US) && dry;
    }
    if (batch->count > 0 && batch->waiting == batch->count) {
        batch_clear(&worker->pipeline, batch);
    }
    return dry;
}

bool consumer_is_fetching(const struct worker *worker) {
    return worker->assignment && !worker->must_load_offsets;
}

/* ---- starting again ------------------------------------------------------------------------ */

void consumer_restart(struct worker *worker) {
    rebalance_drop_batches(worker);
    if (!worker->assignment || worker->must_load_offsets) {
        return;
    }
    worker->must_load_offsets = true;
    struct err err = {0};
    if (!kafka_client_fetch_nothing(worker->kafka, &err)) {
        log_warning("cannot stop fetching", LOG_TEXT("error", err.text));
    }
}

/* ---- the client --------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *
declared_topics(const struct script_generation *generation) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(generation, &count);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            rd_kafka_topic_partition_list_add(topics, handlers[i].topics[t], RD_KAFKA_PARTITION_UA);
        }
    }
    return topics;
}

bool consumer_subscribe(struct worker *worker, struct err *err) {
    trouble_forget_topics(worker);
    rd_kafka_topic_partition_list_t *topics = declared_topics(worker->pipeline.generation);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(worker->kafka, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return !code || err_set(err, ERR_INTERNAL, "cannot subscribe: %s", rd_kafka_err2str(code));
}

void consumer_renew_login(struct worker *worker, bool after_refusal) {
    if (worker->kafka && kafka_login_renew(worker->kafka, worker->config->kafka.brokers,
                                           after_refusal, &worker->login_used)) {
        log_debug("the kafka client has its login", LOG_INT("worker", worker->number));
    }
}

static void on_client_error(rd_kafka_t *kafka, int code, const char *reason, void *worker) {
    (void)kafka;
    log_warning("kafka error", LOG_TEXT("code", rd_kafka_err2name(code)),
                LOG_TEXT("detail", reason));
    trouble_note_client(worker, code, reason);
    moved_note(worker, reason);
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
        consumer_renew_login(worker, true);
    }
}

bool consumer_open(struct worker *worker, struct err *err) {
    rd_kafka_conf_t *conf = kafka_client_conf(worker->config, worker->number, err);
    if (!conf) {
        return false;
    }
    rd_kafka_conf_set_opaque(conf, worker);
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    rd_kafka_conf_set_error_cb(conf, on_client_error);
    worker->kafka = kafka_client_consumer(conf, err);
    if (!worker->kafka) {
        return false;
    }
    worker->login_used = 0; /* it has the one that the program began with */
    consumer_renew_login(worker, false);
    worker->queue = rd_kafka_queue_get_consumer(worker->kafka);
    worker->report = (struct report){.answers = rd_kafka_queue_new(worker->kafka)};
    worker->kafka_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->kafka_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot make an eventfd");
    }
    uint64_t one = 1; /* an eventfd takes eight bytes */
    rd_kafka_queue_io_event_enable(worker->queue, worker->kafka_fd, &one, sizeof one);
    reopen_note_opened(worker);
    return consumer_subscribe(worker, err);
}

/* Leaves the group, which has rebalance() called. False: that takes too long. */
static bool leave_in_time(struct worker *worker) {
    rd_kafka_queue_t *events = rd_kafka_queue_new(worker->kafka);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(worker->kafka, events);
    int64_t deadline_us = clock_monotonic_us() + CLOSE_TIMEOUT_US;
    bool failed = error != NULL; /* for good: there is nothing to wait for */
    if (failed) {
        log_warning("leaving the group failed", LOG_INT("worker", worker->number),
                    LOG_TEXT("error", rd_kafka_error_string(error)));
        rd_kafka_error_destroy(error);
    }
    while (!failed && !rd_kafka_consumer_closed(worker->kafka) &&
           clock_monotonic_us() < deadline_us) {
        rd_kafka_message_t *record = rd_kafka_consume_queue(events, CLOSE_POLL_MS);
        if (record) {
            rd_kafka_message_destroy(record);
        }
    }
    rd_kafka_queue_destroy(events);
    return failed || rd_kafka_consumer_closed(worker->kafka);
}

static void destroy_client(void *kafka) {
    rd_kafka_destroy_flags(kafka, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void forget_client(void *kafka) {
    (void)kafka; /* destroy_client has freed it, or its thread was never begun */
}

/* A client that does not let go, because its coordinator answers nothing, is left to a thread. */
static void destroy_aside(struct worker *worker) {
    static const struct aside_work work = {"closing a Kafka client", destroy_client, forget_client};
    struct err err = {0};
    log_warning("the group does not let go of the kafka client: it is left to end by itself",
                LOG_INT("worker", worker->number));
    if (!aside_run(&work, worker->kafka, DESTROY_TIMEOUT_MS, &err)) {
        log_debug("a kafka client goes on ending", LOG_TEXT("detail", err.text));
    }
}

void consumer_close(struct worker *worker) {
    if (!worker->kafka) {
        return;
    }
    report_last(worker);
    rd_kafka_queue_io_event_enable(worker->queue, -1, NULL, 0);
    bool left = leave_in_time(worker);
    rebalance_forget(worker); /* a client that has failed for good has revoked nothing */
    rd_kafka_queue_destroy(worker->queue);
    rd_kafka_queue_destroy(worker->report.answers);
    if (left) {
        rd_kafka_destroy(worker->kafka);
    } else {
        destroy_aside(worker);
    }
    close(worker->kafka_fd);
    trouble_forget_topics(worker);
    moved_forget(worker);
    worker->kafka = NULL;
    worker->kafka_fd = -1;
}
