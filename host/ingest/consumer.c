/* consumer: the Kafka side of a worker. Eager range assignment; the offsets come from Postgres.
 *
 * The rebalance callback runs inside rd_kafka_consumer_poll, on the worker's thread. A new
 * assignment is not fetched from before Postgres has said where to start; until then the worker
 * keeps polling, which is what keeps it in the group. */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../clock.h"
#include "../log.h"
#include "../xalloc.h"
#include "worker.h"

#define QUERY_TIMEOUT_MS(worker) ((worker)->config->postgres.statement_timeout_ms + 1000)

/* ---- assignment --------------------------------------------------------------------------- */

static void forget_partitions(struct worker *worker) {
    for (size_t i = 0; i < worker->partition_count; i++) {
        free(worker->partitions[i].topic);
    }
    free(worker->partitions);
    worker->partitions = NULL;
    worker->partition_count = 0;
}

static void drop_batches(struct worker *worker) {
    if (worker->inflight) {
        pg_disconnect(worker->pg); /* rolls back, or has committed: the offsets will say */
        worker->inflight = NULL;
    }
    batch_clear(worker, &worker->batches[0]);
    batch_clear(worker, &worker->batches[1]);
}

void consumer_restart(struct worker *worker) {
    drop_batches(worker);
    if (worker->assignment && !worker->must_load_offsets) {
        worker->must_load_offsets = true;
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
        rd_kafka_resp_err_t code = rd_kafka_assign(worker->kafka, none);
        rd_kafka_topic_partition_list_destroy(none);
        if (code) {
            log_warning("cannot stop fetching", LOG_TEXT("error", rd_kafka_err2str(code)));
        }
    }
}

int consumer_find_partition(const struct worker *worker, const rd_kafka_message_t *message) {
    const char *topic = rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < worker->partition_count; i++) {
        if (worker->partitions[i].number == message->partition &&
            strcmp(worker->partitions[i].topic, topic) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* What is under way gets a last chance to commit before the partitions go to someone else. */
static void settle_inflight(struct worker *worker) {
    struct err err = {0};
    enum pg_progress progress = PG_PENDING;
    while (worker->inflight && progress == PG_PENDING &&
           clock_monotonic_us() < worker->inflight_deadline_us) {
        progress = commit_progress(worker, &err);
        if (progress == PG_PENDING) {
            struct pollfd wait = {pg_socket(worker->pg), pg_poll_events(worker->pg), 0};
            poll(&wait, 1, clock_remaining_ms(worker->inflight_deadline_us));
        }
    }
    if (progress == PG_DONE) {
        seen_mark(worker, worker->inflight);
        worker->inflight = NULL;
    }
}

static void on_rebalance(rd_kafka_t *kafka, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct worker *worker = opaque;
    if (worker->assignment) {
        settle_inflight(worker);
        drop_batches(worker);
        rd_kafka_topic_partition_list_destroy(worker->assignment);
        worker->assignment = NULL;
    }
    forget_partitions(worker);
    batch_clear(worker, &worker->batches[0]);
    batch_clear(worker, &worker->batches[1]);
    worker->must_load_offsets = false;
    atomic_store(&worker->assigned, false);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        worker->assignment = rd_kafka_topic_partition_list_copy(partitions);
        worker->must_load_offsets = true;
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
        rd_kafka_assign(kafka, none);
        rd_kafka_topic_partition_list_destroy(none);
        log_info("partitions assigned", LOG_INT("worker", worker->number),
                 LOG_INT("partitions", partitions->cnt));
    } else {
        rd_kafka_assign(kafka, NULL);
        log_info("partitions revoked", LOG_INT("worker", worker->number),
                 LOG_INT("partitions", partitions->cnt));
    }
}

static const char offsets_sql[] =
    "WITH wanted AS (SELECT * FROM unnest($2::text[], $3::int4[]) AS w (topic, partition)), "
    "added AS (INSERT INTO consumer_offsets (consumer_group, topic, partition, next_offset) "
    "SELECT $1::text, topic, partition, -1 FROM wanted ORDER BY topic, partition "
    "ON CONFLICT DO NOTHING) "
    "SELECT w.topic, w.partition::text, coalesce(o.next_offset, -1)::text FROM wanted w "
    "LEFT JOIN consumer_offsets o ON o.consumer_group = $1 AND o.topic = w.topic "
    "AND o.partition = w.partition";

static const char epoch_sql[] =
    "SELECT (SELECT system_identifier::text FROM pg_control_system()), "
    "(SELECT oid::text FROM pg_database WHERE datname = current_database()), "
    "'consumer_offsets'::regclass::oid::text";

static void fill_offset_params(struct worker *worker) {
    const rd_kafka_topic_partition_list_t *list = worker->assignment;
    pg_params_reset(worker->params);
    pg_params_add_text(worker->params, slice_of(worker->config->kafka.group));
    pg_array_begin(worker->params, PG_ARRAY_TEXT);
    for (int i = 0; i < list->cnt; i++) {
        pg_array_bytes(worker->params, slice_of(list->elems[i].topic));
    }
    pg_array_end(worker->params);
    pg_array_begin(worker->params, PG_ARRAY_INT4);
    for (int i = 0; i < list->cnt; i++) {
        pg_array_int(worker->params, list->elems[i].partition);
    }
    pg_array_end(worker->params);
}

static int64_t start_offset(const struct worker *worker, int64_t next_offset) {
    if (next_offset >= 0) {
        return next_offset;
    }
    bool latest = strcmp(worker->config->kafka.auto_offset_reset, "latest") == 0;
    return latest ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

static void take_offsets(struct worker *worker, const PGresult *rows) {
    forget_partitions(worker);
    int count = PQntuples(rows);
    worker->partitions = xcalloc((size_t)count + 1, sizeof *worker->partitions);
    for (int i = 0; i < count; i++) {
        struct partition *partition = &worker->partitions[worker->partition_count++];
        partition->topic = xstrdup(PQgetvalue(rows, i, 0));
        partition->number = (int32_t)strtol(PQgetvalue(rows, i, 1), NULL, 10);
        partition->next_offset = strtoll(PQgetvalue(rows, i, 2), NULL, 10);
        rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_find(
            worker->assignment, partition->topic, partition->number);
        if (element) {
            element->offset = start_offset(worker, partition->next_offset);
        }
    }
    batch_clear(worker, &worker->batches[0]);
    batch_clear(worker, &worker->batches[1]);
}

static bool read_epoch(struct worker *worker, struct err *err) {
    PGresult *row = NULL;
    if (!pg_query(worker->pg, "view_epoch", epoch_sql, NULL, QUERY_TIMEOUT_MS(worker), &row, err)) {
        return false;
    }
    worker->view_epoch = strtoull(PQgetvalue(row, 0, 0), NULL, 10) * 31 +
                         strtoull(PQgetvalue(row, 0, 1), NULL, 10) * 7 +
                         strtoull(PQgetvalue(row, 0, 2), NULL, 10);
    PQclear(row);
    return true;
}

bool consumer_load_offsets(struct worker *worker, struct err *err) {
    PGresult *rows = NULL;
    if (!read_epoch(worker, err)) {
        return false;
    }
    fill_offset_params(worker);
    if (!pg_query(worker->pg, "load_offsets", offsets_sql, worker->params, QUERY_TIMEOUT_MS(worker),
                  &rows, err)) {
        return false;
    }
    take_offsets(worker, rows);
    PQclear(rows);
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
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < worker->partition_count; i++) {
        const struct partition *partition = &worker->partitions[i];
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

/* ---- the client --------------------------------------------------------------------------- */

static void on_log(const rd_kafka_t *kafka, int level, const char *facility, const char *text) {
    (void)kafka;
    LOG_AT(level <= 3 ? LOG_WARNING : LOG_DEBUG, "kafka client", LOG_TEXT("facility", facility),
           LOG_TEXT("detail", text));
}

static void on_error(rd_kafka_t *kafka, int code, const char *reason, void *opaque) {
    (void)kafka;
    (void)opaque;
    log_warning("kafka error", LOG_TEXT("code", rd_kafka_err2name(code)),
                LOG_TEXT("detail", reason));
}

static bool set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                         struct err *err) {
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        return err_set(err, ERR_INPUT, "kafka property %s: %s", name, text);
    }
    return true;
}

static bool set_properties(const struct config *config, rd_kafka_conf_t *conf, struct err *err) {
    char session_timeout_ms[16];
    snprintf(session_timeout_ms, sizeof session_timeout_ms, "%d", config->kafka.session_timeout_ms);
    const char *const properties[][2] = {
        {"bootstrap.servers", config->kafka.brokers},
        {"group.id", config->kafka.group},
        {"client.id", config->kafka.client_id},
        {"session.timeout.ms", session_timeout_ms},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        /* Only where the offset in Postgres is no longer in the log: what is left is read again,
         * which the convergent view makes safe. */
        {"auto.offset.reset", "earliest"},
        {"partition.assignment.strategy", "range"},
        {"topic.metadata.refresh.interval.ms", "10000"},
        {"queued.max.messages.kbytes", "8192"},
        {"queued.min.messages", "20000"},
        {"fetch.error.backoff.ms", "50"},
    };
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (!set_property(conf, properties[i][0], properties[i][1], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < config->kafka.options.count; i++) {
        if (!set_property(conf, config->kafka.options.names[i], config->kafka.options.values[i],
                          err)) {
            return false;
        }
    }
    return true;
}

static bool subscribe(struct worker *worker, struct err *err) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(worker->generation, &count);
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
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[512];
    if (!set_properties(worker->config, conf, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_opaque(conf, worker);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    worker->kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!worker->kafka) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_INPUT, "cannot make a kafka consumer: %s", text);
    }
    rd_kafka_poll_set_consumer(worker->kafka);
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
    }
    forget_partitions(worker);
    worker->kafka = NULL;
}
