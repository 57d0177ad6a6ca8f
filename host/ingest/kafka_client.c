#include "kafka_client.h"

#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../base/timestamp.h"
#include "../base/traceparent.h"

#define REFILL_BYTES (2UL * 1024 * 1024) /* half of queued.max.messages.kbytes */

static void on_log(const rd_kafka_t *kafka, int level, const char *facility, const char *text) {
    (void)kafka;
    LOG_AT(level <= 4 ? LOG_WARNING : LOG_DEBUG, "kafka client", LOG_TEXT("facility", facility),
           LOG_TEXT("detail", text));
}

static void on_error(rd_kafka_t *kafka, int code, const char *reason, void *opaque) {
    (void)kafka;
    (void)opaque;
    log_warning("kafka error", LOG_TEXT("code", rd_kafka_err2name(code)),
                LOG_TEXT("detail", reason));
}

bool kafka_client_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err) {
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        return err_set(err, ERR_INPUT, "kafka property %s: %s", name, text);
    }
    return true;
}

struct property {
    const char *name, *value;
};

static bool set_all(rd_kafka_conf_t *conf, const struct property *properties, size_t count,
                    struct err *err) {
    for (size_t i = 0; i < count; i++) {
        if (!kafka_client_set(conf, properties[i].name, properties[i].value, err)) {
            return false;
        }
    }
    return true;
}

/* What the configuration's own options may change. */
static bool set_defaults(const struct config *config, rd_kafka_conf_t *conf, struct err *err) {
    char session_timeout_ms[16];
    snprintf(session_timeout_ms, sizeof session_timeout_ms, "%d", config->kafka.session_timeout_ms);
    const struct property properties[] = {
        {"bootstrap.servers", config->kafka.brokers},
        {"client.id", config->kafka.client_id},
        {"session.timeout.ms", session_timeout_ms},
        /* A broker that comes back under another address is found: the group's coordinator is asked
         * for this often (by default every ten minutes), the leaders that often. */
        {"coordinator.query.interval.ms", "5000"},
        {"topic.metadata.refresh.interval.ms", "10000"},
        {"socket.timeout.ms", "15000"},         /* a broker that answers nothing is left after it */
        {"queued.max.messages.kbytes", "4096"}, /* see kafka_client_refill */
        {"queued.min.messages", "100000"},
        {"fetch.error.backoff.ms", "50"},
        {"check.crcs", "true"}, /* damaged bytes would be taken for what the event says */
        {"reconnect.backoff.max.ms", "2000"}, /* a broker that is back is found so soon */
        /* The first that all members know is used. roundrobin gives every member as many partitions
         * as any other, and is what aiokafka's members offer; range is for members of old. */
        {"partition.assignment.strategy", "roundrobin,range"},
    };
    return set_all(conf, properties, sizeof properties / sizeof *properties, err);
}

/* What the program relies on. */
static bool set_invariants(const struct config *config, rd_kafka_conf_t *conf, struct err *err) {
    const struct property properties[] = {
        {"group.id", config->kafka.group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        /* An offset that the log does not have is looked into, not passed over. */
        {"auto.offset.reset", "error"},
        /* The end of a partition is where its last record need not be: only this tells. */
        {"enable.partition.eof", "true"},
    };
    return set_all(conf, properties, sizeof properties / sizeof *properties, err);
}

/* The configuration's own options. Each worker is a member of its own: one group.instance.id for
 * several would have them fence each other. */
static bool set_options(const struct config_pairs *options, int member, rd_kafka_conf_t *conf,
                        struct err *err) {
    for (size_t i = 0; i < options->count; i++) {
        char instance[256];
        const char *value = options->values[i];
        if (strcmp(options->names[i], KAFKA_CLIENT_INSTANCE) == 0) {
            if (member == KAFKA_CLIENT_NO_MEMBER) {
                continue;
            }
            int len = snprintf(instance, sizeof instance, "%s-%d", value, member);
            if (len >= (int)sizeof instance) {
                return err_set(err, ERR_INPUT,
                               "kafka property " KAFKA_CLIENT_INSTANCE
                               ": %d bytes with the worker's number, more than %zu",
                               len, sizeof instance - 1);
            }
            value = instance;
        }
        if (!kafka_client_set(conf, options->names[i], value, err)) {
            return false;
        }
    }
    return true;
}

rd_kafka_conf_t *kafka_client_conf(const struct config *config, int member, struct err *err) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!set_defaults(config, conf, err) ||
        !set_options(&config->kafka.options, member, conf, err) ||
        !set_invariants(config, conf, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    return conf;
}

rd_kafka_t *kafka_client_consumer(rd_kafka_conf_t *conf, struct err *err) {
    char text[512];
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!kafka) {
        rd_kafka_conf_destroy(conf);
        err_set(err, ERR_INPUT, "cannot make a kafka consumer: %s", text);
        return NULL;
    }
    rd_kafka_poll_set_consumer(kafka);
    return kafka;
}

/* ---- the assignment ------------------------------------------------------------------------ */

bool kafka_client_is_cooperative(rd_kafka_t *kafka) {
    const char *protocol = rd_kafka_rebalance_protocol(kafka); /* NULL once it is closed */
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static bool note_refused_assignment(rd_kafka_error_t *error, struct err *err) {
    if (!error) {
        return true;
    }
    err_set(err, ERR_UNAVAILABLE, "cannot assign partitions: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

/* Takes from the client all that it fetches. */
static bool unassign_all(rd_kafka_t *kafka, struct err *err) {
    rd_kafka_topic_partition_list_t *fetched = NULL;
    rd_kafka_resp_err_t code = rd_kafka_assignment(kafka, &fetched);
    if (code) {
        return err_set(err, ERR_UNAVAILABLE, "cannot ask for the assignment: %s",
                       rd_kafka_err2str(code));
    }
    bool ok = note_refused_assignment(rd_kafka_incremental_unassign(kafka, fetched), err);
    rd_kafka_topic_partition_list_destroy(fetched);
    return ok;
}

static bool assign_all(rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *partitions,
                       struct err *err) {
    rd_kafka_resp_err_t code = rd_kafka_assign(kafka, partitions);
    return !code ||
           err_set(err, ERR_UNAVAILABLE, "cannot assign partitions: %s", rd_kafka_err2str(code));
}

bool kafka_client_fetch(rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *partitions,
                        struct err *err) {
    if (!kafka_client_is_cooperative(kafka)) {
        return assign_all(kafka, partitions, err);
    }
    return unassign_all(kafka, err) &&
           (partitions->cnt == 0 ||
            note_refused_assignment(rd_kafka_incremental_assign(kafka, partitions), err));
}

bool kafka_client_fetch_nothing(rd_kafka_t *kafka, struct err *err) {
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    bool ok = kafka_client_fetch(kafka, none, err);
    rd_kafka_topic_partition_list_destroy(none);
    return ok;
}

bool kafka_client_rebalance_done(rd_kafka_t *kafka, bool come, struct err *err) {
    bool cooperative = kafka_client_is_cooperative(kafka);
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    bool ok = !cooperative || unassign_all(kafka, err);
    if (ok && cooperative && come) {
        ok = note_refused_assignment(rd_kafka_incremental_assign(kafka, none), err);
    } else if (!cooperative) {
        ok = assign_all(kafka, come ? none : NULL, err);
    }
    rd_kafka_topic_partition_list_destroy(none);
    return ok;
}

/* ---- questions ------------------------------------------------------------------------------ */

bool kafka_client_offsets_at(rd_kafka_t *kafka, rd_kafka_topic_partition_list_t *list,
                             int64_t time_ms, struct err *err) {
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = time_ms; /* how the call takes it */
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(kafka, list, KAFKA_CLIENT_ASK_TIMEOUT_MS);
    for (int i = 0; i < list->cnt && !code; i++) {
        code = list->elems[i].err;
    }
    return !code || err_set(err, ERR_UNAVAILABLE, "kafka cannot say where that time is: %s",
                            rd_kafka_err2str(code));
}

void kafka_client_ask(rd_kafka_t *kafka, rd_kafka_topic_partition_list_t *list, int64_t bound,
                      int timeout_ms) {
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = bound; /* goes into the request as it is */
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(kafka, list, timeout_ms);
    for (int i = 0; code && i < list->cnt; i++) {
        list->elems[i].err = list->elems[i].err ? list->elems[i].err : code;
    }
}

bool kafka_client_refill_is_due(size_t *taken_bytes, const rd_kafka_message_t *record) {
    *taken_bytes += record->len;
    if (*taken_bytes < REFILL_BYTES) {
        return false;
    }
    *taken_bytes = 0;
    return true;
}

void kafka_client_refill(rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *partitions) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);
    kafka_client_ask(kafka, list, RD_KAFKA_OFFSET_END, 0); /* is asked, and times out at once */
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t kafka_client_time_us(const rd_kafka_message_t *record) {
    int64_t time_ms = rd_kafka_message_timestamp(record, NULL);
    if (time_ms <= 0) {
        return 0;
    }
    return time_ms <= TIMESTAMP_LAST_US / 1000 ? time_ms * 1000 : TIMESTAMP_LAST_US;
}

/* librdkafka parses the headers of a record that has some, and allocates nothing for one without.
 * Of several of the name the last counts, as elsewhere in Kafka. */
static struct slice traceparent_of(rd_kafka_message_t *record) {
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(record, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "traceparent", &value, &len) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return (struct slice){0};
    }
    return traceparent_read((struct slice){value, len});
}

struct message kafka_client_message(rd_kafka_message_t *record, size_t partition) {
    return (struct message){
        .partition = partition,
        .offset = record->offset,
        .broker_time_us = kafka_client_time_us(record),
        .payload = {record->payload, record->payload ? record->len : 0},
        .traceparent = traceparent_of(record),
        .owner = record,
    };
}

void kafka_client_release(void *record) {
    rd_kafka_message_destroy(record);
}
