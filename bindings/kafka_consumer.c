/* kafka_consumer: opens a consumer, fetches records, leaves the group. */
#include "kafka_consumer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/timed_work.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/timestamp.h"
#include "base/xalloc.h"
#include "kafka_conf.h"
#include "kafka_consumer_private.h"
#include "kafka_login.h"

#define REFILL_BYTES (2UL * 1024 * 1024) /* half of queued.max.messages.kbytes */
#define LEAVE_TIMEOUT_US 5000000
#define LEAVE_POLL_MS 100
#define DESTROY_TIMEOUT_MS 1000
#define CLOSED_DESTROY_TIMEOUT_S 3

/* ---- opening ------------------------------------------------------------------------------- */

static void kafka_consumer_on_error(rd_kafka_t *client, int code, const char *detail,
                                    void *opaque) {
    struct kafka_consumer *consumer = opaque;
    struct kafka_error error =
        kafka_error_of_client(code, detail, (enum tls_failure)atomic_load(&consumer->refused));
    (void)client;
    log_warning("Kafka consumer reported an error", LOG_TEXT("code", error.name),
                LOG_TEXT("detail", detail));
    if (consumer->calls.on_error) {
        consumer->calls.on_error(consumer->calls.context, &error, detail);
    }
    if (error.kind == KAFKA_ERROR_LOGIN_REFUSED) {
        kafka_consumer_renew_login(consumer, true);
    }
}

/* Keeps OpenSSL's verdict, which librdkafka does not report. Any thread of the client. */
static int kafka_consumer_on_certificate(rd_kafka_t *client, const char *broker, int32_t broker_id,
                                         int *x509_error, int depth, const char *certificate,
                                         size_t size, char *text, size_t capacity, void *opaque) {
    struct kafka_consumer *consumer = opaque;
    (void)client, (void)broker, (void)broker_id, (void)depth, (void)certificate, (void)size;
    if (*x509_error == 0) {
        return 1;
    }
    enum tls_failure failure = tls_failure_of_verification(*x509_error);
    atomic_store(&consumer->refused, failure);
    snprintf(text, capacity, "%s", tls_failure_name(failure));
    return 0;
}

static rd_kafka_conf_t *kafka_consumer_conf(const struct kafka_consumer_options *options,
                                            struct err *err) {
    char session_timeout_ms[16];
    snprintf(session_timeout_ms, sizeof session_timeout_ms, "%d",
             options->settings.session_timeout_ms);
    const struct kafka_property defaults[] = {
        {"session.timeout.ms", session_timeout_ms},
        /* A member learns of a rebalance by its heartbeat: partitions wait for the slowest. */
        {"heartbeat.interval.ms", "200"},
        /* An open fetch delays that of partitions that have just been assigned. */
        {"fetch.wait.max.ms", "250"},
        /* To find a broker that returns under another address. Default of the coordinator query:
         * ten minutes. */
        {"coordinator.query.interval.ms", "5000"},
        {"topic.metadata.refresh.interval.ms", "10000"},
        {"socket.timeout.ms", "15000"},         /* a silent broker is disconnected after it */
        {"queued.max.messages.kbytes", "4096"}, /* see kafka_consumer_refill */
        {"queued.min.messages", "100000"},
        {"fetch.error.backoff.ms", "50"},
        {"check.crcs", "true"},               /* else damaged bytes would pass as event data */
        {"reconnect.backoff.max.ms", "2000"}, /* the delay after a broker returns */
        /* Kafka uses the first that all members support. roundrobin spreads partitions evenly and
         * is supported by aiokafka's members; range is for members of older releases. */
        {"partition.assignment.strategy", "roundrobin,range"},
    };
    const struct kafka_property invariants[] = {
        {"group.id", options->settings.group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", options->skips_gaps ? "earliest" : "error"},
        /* The end offset can be above the last record + 1: only this event marks the end. */
        {"enable.partition.eof", "true"},
    };
    return kafka_conf_create(
        &(struct kafka_conf_options){
            .settings = &options->settings,
            .member = options->calls ? options->member : -1,
            .defaults = {defaults, sizeof defaults / sizeof *defaults},
            .invariants = {invariants, sizeof invariants / sizeof *invariants},
        },
        err);
}

/* In each new thread of the client. Those of brokers decompress and check all that is fetched. */
static rd_kafka_resp_err_t kafka_consumer_on_thread(rd_kafka_t *client, rd_kafka_thread_type_t type,
                                                    const char *name, void *consumer) {
    (void)client, (void)name;
    if (type == RD_KAFKA_THREAD_BROKER) {
        thread_lower_own_priority(((const struct kafka_consumer *)consumer)->nice);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t kafka_consumer_on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf,
                                                 void *consumer, char *text, size_t capacity) {
    (void)conf, (void)text, (void)capacity;
    return rd_kafka_interceptor_add_on_thread_start(client, "nice", kafka_consumer_on_thread,
                                                    consumer);
}

static bool kafka_consumer_watch_queue(struct kafka_consumer *consumer, struct err *err) {
    uint64_t one = 1; /* an eventfd wants eight bytes */
    consumer->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (consumer->event_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot create an eventfd for a Kafka consumer");
    }
    consumer->queue = rd_kafka_queue_get_consumer(consumer->client);
    consumer->replies = rd_kafka_queue_new(consumer->client);
    rd_kafka_queue_io_event_enable(consumer->queue, consumer->event_fd, &one, sizeof one);
    return true;
}

struct kafka_consumer *kafka_consumer_open(const struct kafka_consumer_options *options,
                                           struct err *err) {
    rd_kafka_conf_t *conf = kafka_consumer_conf(options, err);
    if (!conf) {
        return NULL;
    }
    struct kafka_consumer *consumer = xcalloc(1, sizeof *consumer);
    consumer->number = options->member;
    consumer->nice = options->nice;
    consumer->event_fd = -1;
    consumer->brokers = xstrdup(options->settings.brokers);
    kafka_files_note(&consumer->files, &options->settings);
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_error_cb(conf, kafka_consumer_on_error);
    if (rd_kafka_conf_set_ssl_cert_verify_cb(conf, kafka_consumer_on_certificate) !=
        RD_KAFKA_CONF_OK) {
        log_debug("librdkafka was built without TLS");
    }
    if (consumer->nice > 0 &&
        rd_kafka_conf_interceptor_add_on_new(conf, "nice", kafka_consumer_on_new, consumer) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_debug("librdkafka takes no interceptor");
    }
    if (options->calls) {
        consumer->calls = *options->calls;
        rd_kafka_conf_set_rebalance_cb(conf, kafka_group_rebalance);
    }
    consumer->client = kafka_conf_client(RD_KAFKA_CONSUMER, conf, consumer->nice > 0, err);
    if (consumer->client) {
        rd_kafka_poll_set_consumer(consumer->client);
    }
    if (!consumer->client || (options->calls && !kafka_consumer_watch_queue(consumer, err))) {
        kafka_consumer_destroy(consumer);
        return NULL;
    }
    kafka_consumer_renew_login(consumer, false);
    return consumer;
}

void kafka_consumer_renew_login(struct kafka_consumer *consumer, bool after_refusal) {
    if (kafka_login_renew(consumer->client, consumer->brokers, after_refusal,
                          &consumer->login_used)) {
        log_debug("Kafka consumer took the login", LOG_INT("member", consumer->number));
    }
}

bool kafka_consumer_files_changed(const struct kafka_consumer *consumer) {
    return kafka_files_changed(&consumer->files);
}

struct kafka_error kafka_consumer_fatal(const struct kafka_consumer *consumer) {
    char text[512];
    struct kafka_error error =
        kafka_error_of(rd_kafka_fatal_error(consumer->client, text, sizeof text));
    if (error.kind != KAFKA_ERROR_NONE && error.kind != KAFKA_ERROR_FENCED) {
        error.kind = KAFKA_ERROR_FATAL;
    }
    return error;
}

/* ---- leaving ------------------------------------------------------------------------------- */

void kafka_consumer_leave(struct kafka_consumer *consumer) {
    rd_kafka_queue_t *events = rd_kafka_queue_new(consumer->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->client, events);
    int64_t deadline_us = clock_monotonic_us() + LEAVE_TIMEOUT_US;
    bool failed = error != NULL; /* nothing to wait for */
    if (failed) {
        log_warning("Kafka consumer could not leave its group", LOG_INT("member", consumer->number),
                    LOG_TEXT("error", rd_kafka_error_string(error)));
        rd_kafka_error_destroy(error);
    }
    while (!failed && !rd_kafka_consumer_closed(consumer->client) &&
           clock_monotonic_us() < deadline_us) {
        rd_kafka_message_t *record = rd_kafka_consume_queue(events, LEAVE_POLL_MS);
        if (record) {
            rd_kafka_message_destroy(record);
        }
    }
    rd_kafka_queue_destroy(events);
    consumer->stuck = !failed && !rd_kafka_consumer_closed(consumer->client);
}

static void kafka_consumer_free(struct kafka_consumer *consumer) {
    kafka_files_free(&consumer->files);
    free(consumer->brokers);
    free(consumer);
}

static void kafka_consumer_close_stuck(void *context) {
    struct kafka_consumer *consumer = context;
    rd_kafka_destroy_flags(consumer->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    consumer->client = NULL;
}

/* Without a thread the client is still there, and calls back with the consumer: both leak. */
static void kafka_consumer_free_stuck(void *context) {
    struct kafka_consumer *consumer = context;
    if (!consumer->client) {
        kafka_consumer_free(consumer);
    }
}

/* The coordinator does not reply: a detached thread waits for it. */
static void kafka_consumer_destroy_aside(struct kafka_consumer *consumer) {
    static const struct timed_work work = {"closing a Kafka client", kafka_consumer_close_stuck,
                                           kafka_consumer_free_stuck};
    struct err err = {0};
    log_warning("Kafka consumer did not leave its group in time: it is closed in the background",
                LOG_INT("member", consumer->number));
    if (timed_work_run(&work, consumer, DESTROY_TIMEOUT_MS, &err)) {
        kafka_consumer_free(consumer);
    } else {
        log_debug("a Kafka consumer is still closing", LOG_TEXT("detail", err.text));
    }
}

static void *kafka_consumer_destroy_closed(void *client) {
    rd_kafka_destroy(client);
    return NULL;
}

/* librdkafka 2.0.2 waits for ever if a partition that the client fetched was deleted. False: it
 * does, on a thread that nobody waits for. */
static bool kafka_consumer_destroy_in_time(const struct kafka_consumer *consumer) {
    pthread_t thread;
    struct timespec until;
    if (pthread_create(&thread, NULL, kafka_consumer_destroy_closed, consumer->client) != 0) {
        rd_kafka_destroy(consumer->client);
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSED_DESTROY_TIMEOUT_S;
    if (pthread_timedjoin_np(thread, NULL, &until) == 0) {
        return true;
    }
    log_warning("Kafka consumer left its group and does not end, mostly because a topic was "
                "deleted: it is left behind",
                LOG_INT("member", consumer->number));
    pthread_detach(thread);
    return false;
}

void kafka_consumer_destroy(struct kafka_consumer *consumer) {
    if (!consumer) {
        return;
    }
    if (consumer->fetched) {
        rd_kafka_topic_partition_list_destroy(consumer->fetched);
    }
    if (consumer->queue) {
        rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(consumer->queue);
        rd_kafka_queue_destroy(consumer->replies);
        close(consumer->event_fd);
    }
    if (consumer->client && consumer->stuck) {
        kafka_consumer_destroy_aside(consumer);
        return;
    }
    if (consumer->client && !kafka_consumer_destroy_in_time(consumer)) {
        return; /* the client still uses the consumer */
    }
    kafka_consumer_free(consumer);
}

/* ---- fetching -------------------------------------------------------------------------------- */

/* Wakes the brokers' threads once REFILL_BYTES were taken. After the queue was full they check it
 * again only a second later (librdkafka 2.0) unless they have a request to send: so this sends one
 * and does not wait for the reply. Without it the consumer starves unless the queue holds more than
 * a second's records. */
static void kafka_consumer_refill(struct kafka_consumer *consumer, size_t taken_bytes) {
    consumer->taken_bytes += taken_bytes;
    if (consumer->taken_bytes < REFILL_BYTES || !consumer->fetched) {
        return;
    }
    consumer->taken_bytes = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(consumer->fetched);
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = KAFKA_LOG_END;
    }
    (void)rd_kafka_offsets_for_times(consumer->client, list, 0); /* sends, and times out */
    rd_kafka_topic_partition_list_destroy(list);
}

/* Bounded: a producer can set any number, such as nanoseconds, and computing must not overflow. */
static int64_t kafka_consumer_time_us(const rd_kafka_message_t *record) {
    int64_t time_ms = rd_kafka_message_timestamp(record, NULL);
    if (time_ms <= 0) {
        return 0;
    }
    return time_ms <= TIMESTAMP_LAST_US / 1000 ? time_ms * 1000 : TIMESTAMP_LAST_US;
}

bool kafka_consumer_next(struct kafka_consumer *consumer, int timeout_ms,
                         struct kafka_message *message) {
    rd_kafka_message_t *record = rd_kafka_consumer_poll(consumer->client, timeout_ms);
    if (!record) {
        return false;
    }
    *message = (struct kafka_message){
        .topic = record->rkt ? rd_kafka_topic_name(record->rkt) : NULL,
        .partition = record->partition,
        .offset = record->offset,
        .owner = record,
    };
    if (record->err) {
        message->error = kafka_error_of(record->err);
        message->detail = rd_kafka_message_errstr(record);
        return true;
    }
    message->time_us = kafka_consumer_time_us(record);
    message->value = (struct slice){record->payload, record->payload ? record->len : 0};
    kafka_consumer_refill(consumer, record->len);
    return true;
}

/* librdkafka allocates nothing for a record without headers. */
struct slice kafka_message_header(const struct kafka_message *message, const char *name) {
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message->owner, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return (struct slice){0};
    }
    return (struct slice){value, len};
}

struct slice kafka_message_key(const void *owner) {
    const rd_kafka_message_t *message = owner;
    return (struct slice){message->key, message->key_len};
}

void kafka_message_release(void *owner) {
    rd_kafka_message_destroy(owner);
}

int kafka_consumer_event_fd(const struct kafka_consumer *consumer) {
    return consumer->event_fd;
}
