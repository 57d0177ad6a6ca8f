/* kafka_producer: a producer is counted by its users. A send is counted by its sender and by each
 * record in librdkafka's queue, so that a late report finds it allocated. */
#include "kafka_producer.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "kafka_conf.h"
#include "kafka_errors.h"
#include "kafka_files.h"
#include "kafka_login.h"

#define POLL_MS 1000 /* reports and kafka_producer_stop_poller end the poll */
#define FLUSH_MS 1000
#define UNKNOWN_TOPIC_MS 10000    /* then an unknown topic fails its records */
#define LOGIN_INTERVAL_US 2000000 /* interval of reading a rotated password */
#define TOPICS_MAX 64             /* queried at once; others within a second */

struct kafka_producer {
    rd_kafka_t *kafka;
    pthread_t poller; /* runs the callbacks */
    _Atomic bool stopping;
    _Atomic(const char *) failure; /* static text of the fatal error; NULL: none */
    _Atomic bool refused;          /* the fatal error is that of a refused request */
    struct kafka_files files;
    char *brokers;
    uint64_t login_used; /* for kafka_login_renew; poller thread */
    int users;           /* guarded by `lock` */
    pthread_mutex_t topics_lock;
    rd_kafka_topic_t *topics[TOPICS_MAX]; /* topics queried so far; owned */
    size_t topic_count;
};

/* Guards `shared` and its users. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kafka_producer *shared;

struct report {
    struct kafka_send *send;
    struct kafka_delivery delivery;
    bool reported;
};

struct kafka_send {
    _Atomic int refs;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    size_t count;
    size_t outstanding;
    void (*done)(void *context); /* or NULL */
    void *done_context;
    struct report reports[];
};

/* ---- sends -------------------------------------------------------------------------------- */

struct kafka_send *kafka_send_create(size_t capacity) {
    struct kafka_send *send = xcalloc(1, sizeof *send + capacity * sizeof *send->reports);
    clock_condition_init(&send->changed);
    pthread_mutex_init(&send->mutex, NULL);
    atomic_store(&send->refs, 1);
    return send;
}

void kafka_send_unref(struct kafka_send *send) {
    if (!send || atomic_fetch_sub(&send->refs, 1) != 1) {
        return;
    }
    pthread_cond_destroy(&send->changed);
    pthread_mutex_destroy(&send->mutex);
    free(send);
}

static bool kafka_producer_is_of_topic(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static enum err_kind kafka_producer_error_kind(rd_kafka_resp_err_t code,
                                               rd_kafka_msg_status_t status) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return ERR_NONE;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return ERR_INPUT;
    default:
        /* Sent without a reply: the outcome is unknown. */
        return status == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED ? ERR_TIMEOUT : ERR_UNAVAILABLE;
    }
}

static struct kafka_delivery kafka_producer_delivery_of(rd_kafka_resp_err_t code,
                                                        rd_kafka_msg_status_t status) {
    return (struct kafka_delivery){.kind = kafka_producer_error_kind(code, status),
                                   .reason = rd_kafka_err2str(code),
                                   .of_topic = kafka_producer_is_of_topic(code)};
}

/* Stores the report and drops the record's reference. */
static void kafka_producer_report(struct report *report, struct kafka_delivery delivery) {
    struct kafka_send *send = report->send;
    pthread_mutex_lock(&send->mutex);
    report->delivery = delivery;
    report->delivery.at_us = clock_wall_us();
    report->reported = true;
    bool last = --send->outstanding == 0;
    if (last) {
        pthread_cond_signal(&send->changed);
    }
    void (*done)(void *context) = send->done;
    void *context = send->done_context;
    pthread_mutex_unlock(&send->mutex);
    if (last && done) {
        done(context);
    }
    kafka_send_unref(send);
}

/* Without an outcome of its own: the client gave the record up. */
static bool kafka_producer_is_given_up(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
           code == RD_KAFKA_RESP_ERR__FATAL;
}

static void kafka_producer_on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message,
                                       void *opaque) {
    (void)kafka;
    const char *failure = kafka_producer_failure(opaque);
    struct kafka_delivery delivery =
        kafka_producer_delivery_of(message->err, rd_kafka_message_status(message));
    if (failure && kafka_producer_is_given_up(message->err)) {
        delivery.reason = failure;
    }
    delivery.partition = message->partition;
    delivery.offset = message->offset;
    kafka_producer_report(message->_private, delivery);
}

static struct report *kafka_producer_open_report(struct kafka_send *send) {
    atomic_fetch_add(&send->refs, 1);
    pthread_mutex_lock(&send->mutex);
    struct report *report = &send->reports[send->count++];
    report->send = send;
    send->outstanding++;
    pthread_mutex_unlock(&send->mutex);
    return report;
}

static rd_kafka_headers_t *kafka_producer_make_headers(const struct kafka_record *record) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct kafka_header *header = &record->headers[i];
        rd_kafka_header_add(headers, header->name, -1, header->value.data,
                            (ssize_t)header->value.len);
    }
    return headers;
}

/* librdkafka queries the partitions of a new topic only once a second, and the first record waits
 * for it. This queries them at once, without waiting for the reply. */
static void kafka_producer_query_topic(struct kafka_producer *producer, const char *name) {
    const struct rd_kafka_metadata *reply = NULL;
    rd_kafka_topic_t *topic = NULL;
    size_t i = 0;
    pthread_mutex_lock(&producer->topics_lock);
    while (i < producer->topic_count &&
           strcmp(rd_kafka_topic_name(producer->topics[i]), name) != 0) {
        i++;
    }
    if (i == producer->topic_count && i < TOPICS_MAX) {
        topic = rd_kafka_topic_new(producer->kafka, name, NULL);
    }
    if (topic) { /* NULL: known, or an invalid name, which the record's report states */
        producer->topics[producer->topic_count++] = topic;
        if (!rd_kafka_metadata(producer->kafka, 0, topic, &reply, 0)) { /* usually times out */
            rd_kafka_metadata_destroy(reply);
        }
    }
    pthread_mutex_unlock(&producer->topics_lock);
}

void kafka_send_add(struct kafka_send *send, struct kafka_producer *producer,
                    const struct kafka_record *record) {
    struct report *report = kafka_producer_open_report(send);
    rd_kafka_headers_t *headers = record->header_count ? kafka_producer_make_headers(record) : NULL;
    kafka_producer_query_topic(producer, record->topic);
    rd_kafka_resp_err_t code =
        rd_kafka_producev(producer->kafka, RD_KAFKA_V_TOPIC(record->topic),
                          RD_KAFKA_V_KEY(record->key.data, record->key.len),
                          RD_KAFKA_V_VALUE((void *)record->value.data, record->value.len),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(report),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (code) {
        if (headers) {
            rd_kafka_headers_destroy(headers); /* producev takes them on success only */
        }
        kafka_producer_report(report,
                              kafka_producer_delivery_of(code, RD_KAFKA_MSG_STATUS_NOT_PERSISTED));
    }
}

void kafka_send_wait(struct kafka_send *send, int timeout_ms) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    int status = 0;
    pthread_mutex_lock(&send->mutex);
    while (send->outstanding > 0 && status == 0) {
        status = clock_condition_wait(&send->changed, &send->mutex, deadline_us);
    }
    pthread_mutex_unlock(&send->mutex);
}

void kafka_send_on_done(struct kafka_send *send, void (*done)(void *context), void *context) {
    pthread_mutex_lock(&send->mutex);
    send->done = done;
    send->done_context = context;
    pthread_mutex_unlock(&send->mutex);
}

bool kafka_send_reported(struct kafka_send *send, size_t index) {
    pthread_mutex_lock(&send->mutex);
    bool reported = send->reports[index].reported;
    pthread_mutex_unlock(&send->mutex);
    return reported;
}

struct kafka_delivery kafka_send_delivery(struct kafka_send *send, size_t index) {
    struct kafka_delivery delivery = {
        .kind = ERR_TIMEOUT,
        .reason = "no delivery report in time; the record may still be delivered",
    };
    pthread_mutex_lock(&send->mutex);
    if (send->reports[index].reported) {
        delivery = send->reports[index].delivery;
    }
    pthread_mutex_unlock(&send->mutex);
    return delivery;
}

/* ---- the producer ------------------------------------------------------------------------- */

static void kafka_producer_on_fatal_error(struct kafka_producer *producer) {
    char text[512];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(producer->kafka, text, sizeof text);
    if (cause == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE) {
        atomic_store(&producer->refused, true);
        atomic_store(&producer->failure, "Kafka refused an earlier request");
        log_info(
            "Kafka refused a request: the producer is replaced, so that records keep their order",
            LOG_TEXT("detail", text));
        return;
    }
    atomic_store(&producer->failure, kafka_error_of(cause).reason);
    log_error("Kafka producer failed and is replaced", LOG_TEXT("error", text));
}

static void kafka_producer_on_error(rd_kafka_t *kafka, int code, const char *reason, void *opaque) {
    struct kafka_producer *producer = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        kafka_producer_on_fatal_error(producer);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
        (void)kafka_login_renew(producer->kafka, producer->brokers, true, &producer->login_used);
    }
    if (kafka_error_of_client(code, reason, TLS_FAILURE_NONE).kind == KAFKA_ERROR_TLS &&
        kafka_files_changed(&producer->files)) {
        atomic_store(&producer->failure, "the files for TLS to Kafka changed after it had failed");
        rd_kafka_purge(kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        log_info("Kafka producer is replaced: the files for TLS to Kafka changed");
    }
    log_warning("Kafka producer reported an error", LOG_TEXT("code", rd_kafka_err2name(code)),
                LOG_TEXT("detail", reason));
}

static rd_kafka_conf_t *kafka_producer_conf(const struct kafka_settings *settings,
                                            int message_timeout_ms, bool in_order,
                                            struct err *err) {
    char timeout[16], propagation[16];
    int half_ms = message_timeout_ms / 2;
    bool soon = half_ms > 0 && half_ms < UNKNOWN_TOPIC_MS;
    snprintf(timeout, sizeof timeout, "%d", message_timeout_ms);
    /* Before the record's timeout, so that the report names an unknown topic. */
    snprintf(propagation, sizeof propagation, "%d", soon ? half_ms : UNKNOWN_TOPIC_MS);
    const struct kafka_property invariants[] = {
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {"enable.gapless.guarantee", in_order ? "true" : "false"},
        {"linger.ms", "1"}, /* a script waits for the report */
        {"message.timeout.ms", timeout},
        {"topic.metadata.propagation.max.ms", propagation},
        {"queue.buffering.max.kbytes", "65536"},
    };
    return kafka_conf_create(
        &(struct kafka_conf_options){
            .settings = settings,
            .member = -1,
            .invariants = {invariants, sizeof invariants / sizeof *invariants},
        },
        err);
}

static void kafka_producer_free(struct kafka_producer *producer) {
    for (size_t i = 0; i < producer->topic_count; i++) {
        rd_kafka_topic_destroy(producer->topics[i]);
    }
    rd_kafka_destroy(producer->kafka);
    pthread_mutex_destroy(&producer->topics_lock);
    kafka_files_free(&producer->files);
    free(producer->brokers);
    free(producer);
}

/* At a fatal error librdkafka purges its queues once. A request that was in flight then may fail
 * later, and its records wait for a retry that never comes: they are purged, too. Records in flight
 * get their reports. */
static void kafka_producer_purge_if_broken(struct kafka_producer *producer) {
    if (kafka_producer_broken(producer)) {
        rd_kafka_purge(producer->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
}

static void *kafka_producer_poll_reports(void *context) {
    struct kafka_producer *producer = context;
    int64_t login_at_us = 0;
    while (!atomic_load(&producer->stopping)) {
        if (clock_monotonic_us() >= login_at_us) {
            login_at_us = clock_monotonic_us() + LOGIN_INTERVAL_US;
            (void)kafka_login_renew(producer->kafka, producer->brokers, false,
                                    &producer->login_used);
        }
        kafka_producer_purge_if_broken(producer);
        rd_kafka_poll(producer->kafka, POLL_MS);
    }
    return NULL;
}

static void kafka_producer_stop_poller(struct kafka_producer *producer) {
    rd_kafka_queue_t *reports = rd_kafka_queue_get_main(producer->kafka);
    atomic_store(&producer->stopping, true);
    rd_kafka_queue_yield(reports);
    rd_kafka_queue_destroy(reports);
    pthread_join(producer->poller, NULL);
}

/* The main thread handles signals. */
static bool kafka_producer_start_poller(struct kafka_producer *producer, struct err *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&producer->poller, NULL, kafka_producer_poll_reports, producer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ||
           err_set(err, ERR_INTERNAL, "cannot start the thread of Kafka delivery reports");
}

static struct kafka_producer *kafka_producer_create(const struct kafka_settings *settings,
                                                    int message_timeout_ms, bool in_order,
                                                    struct err *err) {
    rd_kafka_conf_t *conf = kafka_producer_conf(settings, message_timeout_ms, in_order, err);
    if (!conf) {
        return NULL;
    }
    struct kafka_producer *producer = xcalloc(1, sizeof *producer);
    kafka_files_note(&producer->files, settings);
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, kafka_producer_on_delivery);
    rd_kafka_conf_set_error_cb(conf, kafka_producer_on_error);
    producer->kafka = kafka_conf_client(RD_KAFKA_PRODUCER, conf, false, err);
    if (!producer->kafka) {
        kafka_files_free(&producer->files);
        free(producer);
        return NULL;
    }
    pthread_mutex_init(&producer->topics_lock, NULL);
    producer->brokers = xstrdup(settings->brokers);
    if (!kafka_producer_start_poller(producer, err)) {
        kafka_producer_free(producer);
        return NULL;
    }
    return producer;
}

struct kafka_producer *kafka_producer_open(const struct kafka_settings *settings,
                                           int message_timeout_ms, struct err *err) {
    return kafka_producer_create(settings, message_timeout_ms, true, err);
}

void kafka_producer_abandon(struct kafka_producer *producer) {
    /* The reports of purged records drop the last references to their sends. */
    rd_kafka_purge(producer->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(producer->kafka, FLUSH_MS);
    kafka_producer_stop_poller(producer);
    while (rd_kafka_poll(producer->kafka, 0) > 0) {
    }
    kafka_producer_free(producer);
}

bool kafka_producer_broken(const struct kafka_producer *producer) {
    return kafka_producer_failure(producer) != NULL;
}

const char *kafka_producer_failure(const struct kafka_producer *producer) {
    return atomic_load(&producer->failure);
}

bool kafka_producer_refused(const struct kafka_producer *producer) {
    return atomic_load(&producer->refused);
}

struct kafka_producer *kafka_producer_acquire(const struct kafka_settings *settings,
                                              int message_timeout_ms, struct err *err) {
    pthread_mutex_lock(&lock);
    if (shared && kafka_producer_broken(shared)) {
        shared = NULL; /* its users release it */
    }
    if (!shared) {
        shared = kafka_producer_create(settings, message_timeout_ms, false, err);
    }
    struct kafka_producer *producer = shared;
    if (producer) {
        producer->users++;
    }
    pthread_mutex_unlock(&lock);
    return producer;
}

void kafka_producer_release(struct kafka_producer *producer) {
    if (!producer) {
        return;
    }
    pthread_mutex_lock(&lock);
    bool last = --producer->users == 0;
    if (last && shared == producer) {
        shared = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (last) {
        rd_kafka_flush(producer->kafka, FLUSH_MS);
        kafka_producer_abandon(producer);
    }
}
