/* relay_publish: takes pending rows, gives them to the Kafka client, and writes what Kafka reports
 * into the rows. */
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "relay_private.h"

#define WINDOW_MESSAGES 1000
#define WINDOW_BYTES (32UL * 1024 * 1024)
/* Interval of the query for messages that other processes stored. While none is known, an
 * operator's command may store some: the query follows each claim. */
#define LOOK_US 100000
#define REPLACE_FIRST_US 1000000 /* before a broken client is replaced; doubles */
#define REPLACE_LAST_US 30000000
/* The relay waits this many times the duration of its last query, up to a limit: a stall is no cost
 * of the query. */
#define LOOK_FACTOR 10
#define LOOK_LONGEST_US 5000000

/* ---- reports -------------------------------------------------------------------------------- */

/* Kafka acknowledged a message: the client is not broken. */
static void relay_publish_note_working(struct outbox_relay *relay) {
    if (relay->replace_wait_us > 0) {
        relay->replace_wait_us = 0;
        relay_status_set_error(relay, "");
    }
}

struct noting {
    struct outbox_relay *relay;
    struct row_result results[WINDOW_MESSAGES];
    struct noted {
        const struct sending_message *message;
        struct kafka_delivery delivery;
    } noted[WINDOW_MESSAGES]; /* of each result */
    size_t count;
};

/* Kafka refused the request of the message. */
static bool relay_publish_is_refused(const struct kafka_delivery *delivery) {
    return delivery->kind == ERR_INPUT && !delivery->of_topic;
}

/* An error of a topic applies to all its messages: they stay pending, in order. An error of one
 * message is permanent: it fails alone, and later ones of its key are sent. Kafka reports it for
 * all messages of a request (librdkafka 2.0 does not split one that is too large): so they are sent
 * again one at a time, and the one that fails then is at fault. */
static void relay_publish_note_report(void *context, const struct sending_message *message,
                                      const struct kafka_delivery *delivery) {
    struct noting *noting = context;
    bool delivered = delivery->kind == ERR_NONE;
    bool fails = relay_publish_is_refused(delivery) && noting->relay->is_alone;
    noting->noted[noting->count] = (struct noted){message, *delivery};
    noting->results[noting->count++] = (struct row_result){message->id,
                                                           delivered ? ROW_SENT
                                                           : fails   ? ROW_FAILED
                                                                     : ROW_PENDING,
                                                           delivered ? NULL : delivery->reason};
}

static void relay_publish_note_sent(struct outbox_relay *relay, const struct noted *noted) {
    double seconds = (double)(noted->delivery.at_us - noted->message->created_us) / 1e6;
    metric_observe(relay_status_metric(RM_SECONDS), seconds > 0 ? seconds : 0);
    topic_backoff_end(&relay->backoffs, noted->message->topic);
    relay->delivered_us = clock_monotonic_us();
    relay_publish_note_working(relay);
}

static void relay_publish_note_refused(struct outbox_relay *relay, const struct noted *noted) {
    if (!relay->is_alone) {
        relay->alone_left = relay->in_flight.messages;
        return;
    }
    log_error("Kafka refused a message: see aggregator outbox show, then retry or drop it",
              LOG_INT("id", noted->message->id), LOG_TEXT("topic", noted->message->topic),
              LOG_TEXT("error", noted->delivery.reason));
}

/* Its row has the outcome: what follows from it happens once. */
static void relay_publish_apply(struct outbox_relay *relay, const struct noted *noted) {
    if (noted->delivery.kind == ERR_NONE) {
        relay_publish_note_sent(relay, noted);
    } else if (noted->delivery.of_topic) {
        topic_backoff_begin(&relay->backoffs, noted->message->topic, clock_monotonic_us(),
                            noted->delivery.reason);
    } else if (relay_publish_is_refused(&noted->delivery)) {
        relay_publish_note_refused(relay, noted);
    }
}

static void relay_publish_apply_all(const struct noting *noting) {
    size_t counts[ROW_PENDING + 1] = {0};
    for (size_t i = 0; i < noting->count; i++) {
        relay_publish_apply(noting->relay, &noting->noted[i]);
        counts[noting->results[i].outcome]++;
    }
    metric_add(relay_status_metric(RM_SENT), (double)counts[ROW_SENT]);
    metric_add(relay_status_metric(RM_FAILED), (double)counts[ROW_FAILED]);
    metric_add(relay_status_metric(RM_DELAYED), (double)counts[ROW_PENDING]);
}

bool relay_publish_note_reports(struct outbox_relay *relay, struct err *err) {
    struct noting *noting = xcalloc(1, sizeof *noting);
    noting->relay = relay;
    in_flight_read_reports(&relay->in_flight, relay_publish_note_report, noting);
    if (noting->count > 0) {
        FAULT_POINT("outbox_acknowledged");
    }
    bool ok = noting->count == 0 || rows_note(&relay->rows, noting->results, noting->count, err);
    if (ok) {
        if (noting->count > 0) {
            FAULT_POINT("outbox_noted");
        }
        relay_publish_apply_all(noting);
        in_flight_finish(&relay->in_flight);
    }
    free(noting);
    return ok;
}

/* ---- messages ------------------------------------------------------------------------------- */

void relay_publish_drop_producer(struct outbox_relay *relay) {
    if (relay->producer) {
        kafka_producer_abandon(relay->producer);
        relay->producer = NULL;
    }
}

/* Messages past the horizon become `settled`. */
static bool relay_publish_note_old(struct outbox_relay *relay, const struct pg_result *taken,
                                   struct err *err) {
    struct row_result *results = xcalloc((size_t)pg_rows_count(taken) + 1, sizeof *results);
    size_t count = 0;
    for (int row = 0; row < pg_rows_count(taken); row++) {
        if (rows_is_old(taken, row)) {
            results[count++] =
                (struct row_result){strtoll(pg_rows_text(taken, row, ROW_ID), NULL, 10),
                                    ROW_SETTLED, "older than the horizon when it was to be sent"};
        }
    }
    bool ok = count == 0 || rows_note(&relay->rows, results, count, err);
    if (ok && count > 0) {
        metric_add(relay_status_metric(RM_SETTLED), (double)count);
    }
    free(results);
    return ok;
}

/* The client drops a message that passes the horizon during an outage of Kafka. */
static int relay_publish_timeout_ms(const struct outbox_relay *relay) {
    int64_t horizon_ms = relay->config->outbox.horizon_hours * 3600000LL;
    return horizon_ms < INT32_MAX ? (int)horizon_ms : INT32_MAX;
}

/* Drops a broken producer; the next one follows at a bounded rate, because a fault such as a
 * missing right breaks that one, too. After a refused request it follows at once: the rows of that
 * request are backed off, sent alone, or failed. */
static void relay_publish_drop_broken_producer(struct outbox_relay *relay) {
    if (kafka_producer_refused(relay->producer)) {
        relay_publish_drop_producer(relay);
        return;
    }
    relay_status_set_error(relay, kafka_producer_failure(relay->producer));
    relay_publish_drop_producer(relay);
    relay->replace_at_us = clock_monotonic_us() + relay->replace_wait_us;
    int64_t longer_us = relay->replace_wait_us > 0 ? 2 * relay->replace_wait_us : REPLACE_FIRST_US;
    relay->replace_wait_us = relay_smaller(longer_us, REPLACE_LAST_US);
}

/* Replaces a broken producer once its messages are pending again. */
static bool relay_publish_hold_producer(struct outbox_relay *relay, struct err *err) {
    if (relay->producer && kafka_producer_broken(relay->producer) &&
        relay->in_flight.messages == 0) {
        relay_publish_drop_broken_producer(relay);
    }
    if (!relay->producer && clock_monotonic_us() >= relay->replace_at_us) {
        struct kafka_settings settings = config_kafka_settings(relay->config);
        relay->producer = kafka_producer_open(&settings, relay_publish_timeout_ms(relay), err);
    }
    return relay->producer && !kafka_producer_broken(relay->producer);
}

static void relay_publish_note_no_client(struct outbox_relay *relay, const struct err *reason) {
    if (reason->text[0] && strcmp(relay->status.error, reason->text) != 0) {
        log_error("the outbox relay cannot create a Kafka client: see kafka in config.lua",
                  LOG_TEXT("error", reason->text));
        relay_status_set_error(relay, reason->text);
    }
}

static void relay_publish_wake(void *context) {
    struct outbox_relay *relay = context;
    thread_tell(&relay->thread, &relay->reported, true);
}

static bool relay_publish_send(struct outbox_relay *relay, const struct pg_result *taken) {
    struct err reason = {0};
    if (!relay_lease_allows(relay, clock_monotonic_us()) || pg_rows_count(taken) == 0) {
        return true;
    }
    if (!relay_publish_hold_producer(relay, &reason)) {
        relay_publish_note_no_client(relay, &reason);
        return false;
    }
    relay->delivered_us =
        relay->in_flight.messages > 0 ? relay->delivered_us : clock_monotonic_us();
    in_flight_send(&relay->in_flight, relay->producer, taken, relay_publish_wake, relay);
    relay->is_alone = relay->alone_left > 0;
    relay->alone_left -= relay->is_alone;
    FAULT_POINT("outbox_produced");
    return true;
}

static bool relay_publish_take(struct outbox_relay *relay, struct pg_result **taken,
                               struct err *err) {
    const struct in_flight *in_flight = &relay->in_flight;
    const char *topics[BACKOFF_TOPICS_MAX];
    struct rows_skipped skipped = {.topics = topics};
    size_t most = relay->alone_left > 0 ? 1 : WINDOW_MESSAGES;
    *taken = NULL;
    if (in_flight->messages >= most || in_flight->bytes >= WINDOW_BYTES ||
        (relay->is_alone && in_flight->messages > 0)) {
        return true;
    }
    skipped.in_flight = in_flight_ids(&relay->in_flight, &skipped.in_flight_count);
    skipped.topic_count = topic_backoff_list(&relay->backoffs, clock_monotonic_us(), topics);
    return rows_take(&relay->rows, &skipped, most - in_flight->messages,
                     WINDOW_BYTES - in_flight->bytes, taken, err);
}

bool relay_publish_pending(struct outbox_relay *relay, struct err *err) {
    int64_t began_us = clock_monotonic_us();
    struct pg_result *taken;
    if (!relay_lease_allows(relay, began_us)) {
        return true;
    }
    if (!relay_publish_take(relay, &taken, err)) {
        return false;
    }
    bool ok = !taken || relay_publish_note_old(relay, taken, err);
    bool sent = ok && taken && relay_publish_send(relay, taken);
    bool more = sent && pg_rows_count(taken) > 0 && relay->in_flight.messages < WINDOW_MESSAGES;
    int64_t now_us = clock_monotonic_us();
    int64_t rest_us = relay_smaller(LOOK_FACTOR * (now_us - began_us), LOOK_LONGEST_US);
    int64_t interval_us = relay->rows.alone ? relay->claim_at_us - now_us : LOOK_US;
    relay->look_at_us = now_us + (more                    ? 0
                                  : ok && taken && !sent  ? RELAY_CLAIM_US
                                  : rest_us > interval_us ? rest_us
                                                          : interval_us);
    pg_rows_free(taken);
    return ok;
}
