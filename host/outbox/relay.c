#include "relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/metrics.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "flights.h"
#include "rows.h"
#include "topic_backoff.h"

#define WINDOW_MESSAGES 1000
#define WINDOW_BYTES (32UL * 1024 * 1024)
#define CONNECT_TIMEOUT_MS 1500
#define STOP_MS 2000
#define CLAIM_US 1000000    /* interval between claims of the lease */
#define TAKEOVER_US 1000000 /* a lease is taken over after it was seen expired for this long */
#define LOOK_US 100000      /* interval of the query for messages that other processes stored */
#define REPORTS_US 20000    /* interval of reading the reports of an incomplete flight */
#define MEASURE_US 2000000
#define PRUNE_US 60000000
#define OUTAGE_US 500000         /* interval of attempts to connect to the database */
#define REPLACE_FIRST_US 1000000 /* before a broken client is replaced; doubles */
#define REPLACE_LAST_US 30000000
#define SILENCE_US 10000000 /* without a delivery, until a warning */
#define LOOK_FACTOR 10      /* the relay waits this many times the duration of its last query */

struct outbox_relay {
    const struct config *config;
    char holder[320];
    struct rows rows;                /* of the thread alone, as all up to `lock` */
    struct kafka_producer *producer; /* NULL: none yet */
    struct flights flights;
    struct topic_backoffs backoffs;
    size_t alone_left; /* messages to be sent one at a time */
    bool is_alone;     /* the message in flight is sent so */
    bool holds;
    int64_t lease_until_us; /* while it holds */
    int64_t run_out_us;     /* since when another's lease is seen expired; 0: it is not */
    int64_t claim_at_us, look_at_us, measure_at_us, prune_at_us;
    int64_t replace_at_us, replace_wait_us; /* of a broken client; wait 0: none was broken */
    int64_t delivered_us; /* when Kafka last accepted a message, or none was in flight */
    bool outage_logged, silence_logged;
    struct thread thread; /* its lock guards what follows */
    bool woken, reported;
    struct {
        bool publishes;
        struct rows_depth depth;
        int64_t in_flight;
        char error[512]; /* "": none */
    } status;
};

/* ---- metrics -------------------------------------------------------------------------------- */

enum relay_metric {
    RM_DEPTH,
    RM_FAILED_ROWS,
    RM_OLDEST,
    RM_PUBLISHES,
    RM_SENT,
    RM_SETTLED,
    RM_FAILED,
    RM_DELAYED,
    RM_PRUNED,
    RM_SECONDS,
    RM_COUNT
};

static struct metric_cell *relay_metric(enum relay_metric which) {
    static const struct {
        enum metric_type type;
        const char *name, *help;
    } metrics[RM_COUNT] = {
        {METRIC_GAUGE, "ras_outbox_depth", "Messages pending, up to 100000."},
        {METRIC_GAUGE, "ras_outbox_failed_messages",
         "Messages that Kafka refused, until an operator retries or drops them."},
        {METRIC_GAUGE, "ras_outbox_oldest_pending_seconds", "Age of the oldest pending message."},
        {METRIC_GAUGE, "ras_outbox_publishes", "1 if this process holds the lease and publishes."},
        {METRIC_COUNTER, "ras_outbox_sent_total", "Messages that Kafka acknowledged."},
        {METRIC_COUNTER, "ras_outbox_settled_total",
         "Messages not sent: they became older than the horizon while pending."},
        {METRIC_COUNTER, "ras_outbox_failed_total",
         "Messages that Kafka refused: they become failed."},
        {METRIC_COUNTER, "ras_outbox_delayed_total", "Messages not sent that will be tried again."},
        {METRIC_COUNTER, "ras_outbox_pruned_total", "Rows of done messages deleted."},
        {METRIC_HISTOGRAM, "ras_outbox_publish_seconds",
         "From the transaction that stored a message to Kafka's acknowledgement."},
    };
    return metric_single(metrics[which].type, metrics[which].name, metrics[which].help);
}

static int64_t relay_earlier(int64_t one_us, int64_t other_us) {
    return one_us < other_us ? one_us : other_us;
}

/* ---- log and status ---------------------------------------------------------------------------
 */

static void relay_set_status_error(struct outbox_relay *relay, const char *text) {
    thread_lock(&relay->thread);
    snprintf(relay->status.error, sizeof relay->status.error, "%s", text);
    thread_unlock(&relay->thread);
}

static void relay_note_database(struct outbox_relay *relay, bool ok, const struct err *err) {
    if (!ok && !relay->outage_logged) {
        log_warning("the outbox relay cannot reach the database; messages stay pending",
                    LOG_TEXT("error", err->text));
        relay_set_status_error(relay, pg_plain_reason(err)); /* no host, no role */
    } else if (ok && relay->outage_logged) {
        log_info("the outbox relay reached the database again");
        relay_set_status_error(relay, "");
    }
    relay->outage_logged = !ok;
}

/* Kafka acknowledged a message: the client is not broken. */
static void relay_note_working(struct outbox_relay *relay) {
    if (relay->replace_wait_us > 0) {
        relay->replace_wait_us = 0;
        relay_set_status_error(relay, "");
    }
}

/* Logs the begin and the end of each silence. */
static void relay_note_kafka(struct outbox_relay *relay, int64_t now_us) {
    bool silent = relay->flights.messages > 0 && now_us - relay->delivered_us > SILENCE_US;
    if (silent && !relay->silence_logged) {
        log_warning(
            "Kafka acknowledged no message for ten seconds; messages stay pending, in order",
            LOG_INT("in_flight", (int64_t)relay->flights.messages));
        relay_set_status_error(relay, "Kafka takes no messages");
    } else if (!silent && relay->silence_logged) {
        log_info("Kafka acknowledges messages again");
        relay_set_status_error(relay, "");
    }
    relay->silence_logged = silent;
}

static void relay_note_publishes(struct outbox_relay *relay, bool holds) {
    if (holds && !relay->holds) {
        FAULT_POINT("outbox_lease");
    }
    if (holds != relay->holds) {
        log_info(holds ? "this process took the outbox lease and publishes"
                       : "this process lost the outbox lease: another publishes");
    }
    relay->holds = holds;
    metric_set(relay_metric(RM_PUBLISHES), holds);
    thread_lock(&relay->thread);
    relay->status.publishes = holds;
    thread_unlock(&relay->thread);
}

/* ---- the lease ------------------------------------------------------------------------------ */

/* Purges the client: the new holder sends the same messages. */
static void relay_drop_flights(struct outbox_relay *relay) {
    if (relay->producer) {
        kafka_producer_abandon(relay->producer);
        relay->producer = NULL;
    }
    flights_drop(&relay->flights);
}

static bool relay_claim_lease(struct outbox_relay *relay, int64_t now_us, struct err *err) {
    enum rows_lease lease;
    bool takes_over = relay->run_out_us > 0 && now_us - relay->run_out_us >= TAKEOVER_US;
    relay->claim_at_us = now_us + CLAIM_US;
    if (!rows_claim(&relay->rows, takes_over, &lease, err)) {
        relay->run_out_us = 0; /* the holder may have lost the database too */
        return false;
    }
    if (lease != ROWS_RUN_OUT) {
        relay->run_out_us = 0;
    } else if (relay->run_out_us == 0) {
        relay->run_out_us = now_us;
    }
    if (lease == ROWS_MINE) {
        relay->lease_until_us = now_us + ROWS_LEASE_MS * 1000LL;
    } else if (relay->holds) {
        log_warning("another process took the outbox lease: this one was stopped, or without the "
                    "database, for longer than its lease; messages in flight may be sent twice",
                    LOG_INT("in_flight", (int64_t)relay->flights.messages));
        relay_drop_flights(relay);
    }
    relay_note_publishes(relay, lease == ROWS_MINE);
    return true;
}

/* With a margin for the time to reach Kafka. */
static bool relay_may_publish(const struct outbox_relay *relay, int64_t now_us) {
    return relay->holds && now_us < relay->lease_until_us - CLAIM_US;
}

/* ---- reports -------------------------------------------------------------------------------- */

struct noting {
    struct outbox_relay *relay;
    struct row_result results[WINDOW_MESSAGES];
    size_t count;
    int64_t now_us; /* since 1970 */
};

/* An error of a topic applies to all its messages: they stay pending, in order. An error of one
 * message is permanent: it fails alone, and later ones of its key are sent. Kafka reports it for
 * all messages of a request (librdkafka 2.0 does not split one that is too large): so they are sent
 * again one at a time, and the one that fails then is at fault. */
static enum row_outcome relay_outcome_of(struct outbox_relay *relay,
                                         const struct flight_message *message,
                                         const struct kafka_delivery *delivery) {
    if (delivery->kind == ERR_NONE) {
        return ROW_SENT;
    }
    if (delivery->kind == ERR_INPUT && !delivery->of_topic) {
        relay->alone_left = relay->is_alone ? relay->alone_left : relay->flights.messages;
        return relay->is_alone ? ROW_FAILED : ROW_PENDING;
    }
    if (delivery->of_topic) {
        topic_backoff_begin(&relay->backoffs, message->topic, clock_monotonic_us(),
                            delivery->reason);
    }
    return ROW_PENDING;
}

static void relay_note_report(void *context, const struct flight_message *message,
                              const struct kafka_delivery *delivery) {
    struct noting *noting = context;
    struct outbox_relay *relay = noting->relay;
    enum row_outcome outcome = relay_outcome_of(relay, message, delivery);
    noting->results[noting->count++] = (struct row_result){
        message->id, outcome, delivery->kind == ERR_NONE ? NULL : delivery->reason};
    if (outcome == ROW_SENT) {
        double seconds = (double)(noting->now_us - message->created_us) / 1e6;
        metric_observe(relay_metric(RM_SECONDS), seconds > 0 ? seconds : 0);
        topic_backoff_end(&relay->backoffs, message->topic);
        relay->delivered_us = clock_monotonic_us();
        relay_note_working(relay);
    } else if (outcome == ROW_FAILED) {
        log_error("Kafka refused a message: see aggregator outbox show, then retry or drop it",
                  LOG_INT("id", message->id), LOG_TEXT("topic", message->topic),
                  LOG_TEXT("error", delivery->reason));
    }
}

static void relay_count_results(const struct noting *noting) {
    size_t counts[ROW_PENDING + 1] = {0};
    for (size_t i = 0; i < noting->count; i++) {
        counts[noting->results[i].outcome]++;
    }
    metric_add(relay_metric(RM_SENT), (double)counts[ROW_SENT]);
    metric_add(relay_metric(RM_FAILED), (double)counts[ROW_FAILED]);
    metric_add(relay_metric(RM_DELAYED), (double)counts[ROW_PENDING]);
}

/* A reported message stays in flight until its row has the outcome: it is not sent again. */
static bool relay_note_reports(struct outbox_relay *relay, struct err *err) {
    struct noting *noting = xcalloc(1, sizeof *noting);
    noting->relay = relay;
    noting->now_us = clock_wall_us();
    flights_read_reports(&relay->flights, relay_note_report, noting);
    if (noting->count > 0) {
        FAULT_POINT("outbox_acknowledged");
    }
    bool ok = noting->count == 0 || rows_note(&relay->rows, noting->results, noting->count, err);
    if (ok) {
        if (noting->count > 0) {
            FAULT_POINT("outbox_noted");
        }
        relay_count_results(noting);
        flights_finish(&relay->flights);
    }
    free(noting);
    return ok;
}

/* ---- publishing ----------------------------------------------------------------------------- */

/* Messages past the horizon become `settled`. */
static bool relay_note_old(struct outbox_relay *relay, const struct pg_result *taken,
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
        metric_add(relay_metric(RM_SETTLED), (double)count);
    }
    free(results);
    return ok;
}

/* The client drops a message that passes the horizon during an outage of Kafka. */
static int relay_message_timeout_ms(const struct outbox_relay *relay) {
    int64_t horizon_ms = relay->config->outbox.horizon_hours * 3600000LL;
    return horizon_ms < INT32_MAX ? (int)horizon_ms : INT32_MAX;
}

/* Drops a broken producer; the next one follows at a bounded rate, because a fault such as a
 * missing right breaks that one, too. */
static void relay_drop_producer(struct outbox_relay *relay) {
    relay_set_status_error(relay, kafka_producer_failure(relay->producer));
    kafka_producer_abandon(relay->producer);
    relay->producer = NULL;
    relay->replace_at_us = clock_monotonic_us() + relay->replace_wait_us;
    int64_t longer_us = relay->replace_wait_us > 0 ? 2 * relay->replace_wait_us : REPLACE_FIRST_US;
    relay->replace_wait_us = relay_earlier(longer_us, REPLACE_LAST_US);
}

/* Replaces a broken producer once its messages are pending again. */
static bool relay_hold_producer(struct outbox_relay *relay, struct err *err) {
    if (relay->producer && kafka_producer_broken(relay->producer) && relay->flights.messages == 0) {
        relay_drop_producer(relay);
    }
    if (!relay->producer && clock_monotonic_us() >= relay->replace_at_us) {
        struct kafka_settings settings = config_kafka_settings(relay->config);
        relay->producer = kafka_producer_open(&settings, relay_message_timeout_ms(relay), err);
    }
    return relay->producer && !kafka_producer_broken(relay->producer);
}

static void relay_note_no_client(struct outbox_relay *relay, const struct err *reason) {
    if (reason->text[0] && strcmp(relay->status.error, reason->text) != 0) {
        log_error("the outbox relay cannot create a Kafka client: see kafka in config.lua",
                  LOG_TEXT("error", reason->text));
        relay_set_status_error(relay, reason->text);
    }
}

static void relay_wake_for_reports(void *context) {
    struct outbox_relay *relay = context;
    thread_lock(&relay->thread);
    relay->reported = true;
    thread_wake(&relay->thread);
    thread_unlock(&relay->thread);
}

static bool relay_launch(struct outbox_relay *relay, const struct pg_result *taken) {
    struct err reason = {0};
    if (!relay_may_publish(relay, clock_monotonic_us()) || pg_rows_count(taken) == 0) {
        return true;
    }
    if (!relay_hold_producer(relay, &reason)) {
        relay_note_no_client(relay, &reason);
        return false;
    }
    relay->delivered_us = relay->flights.messages > 0 ? relay->delivered_us : clock_monotonic_us();
    flights_launch(&relay->flights, relay->producer, taken, relay_wake_for_reports, relay);
    relay->is_alone = relay->alone_left > 0;
    relay->alone_left -= relay->is_alone;
    FAULT_POINT("outbox_produced");
    return true;
}

static bool relay_take_pending(struct outbox_relay *relay, struct pg_result **taken,
                               struct err *err) {
    const struct flights *flights = &relay->flights;
    const char *topics[BACKOFF_TOPICS_MAX];
    struct rows_skipped skipped = {.topics = topics};
    size_t most = relay->alone_left > 0 ? 1 : WINDOW_MESSAGES;
    *taken = NULL;
    if (flights->messages >= most || flights->bytes >= WINDOW_BYTES ||
        (relay->is_alone && flights->messages > 0)) {
        return true;
    }
    skipped.flying = flights_ids(&relay->flights, &skipped.flying_count);
    skipped.topic_count = topic_backoff_list(&relay->backoffs, clock_monotonic_us(), topics);
    return rows_take(&relay->rows, &skipped, most - flights->messages,
                     WINDOW_BYTES - flights->bytes, taken, err);
}

static bool relay_publish_pending(struct outbox_relay *relay, struct err *err) {
    int64_t began_us = clock_monotonic_us();
    struct pg_result *taken;
    if (!relay_may_publish(relay, began_us)) {
        return true;
    }
    if (!relay_take_pending(relay, &taken, err)) {
        return false;
    }
    bool ok = !taken || relay_note_old(relay, taken, err);
    bool launched = ok && taken && relay_launch(relay, taken);
    bool more = launched && pg_rows_count(taken) > 0 && relay->flights.messages < WINDOW_MESSAGES;
    int64_t now_us = clock_monotonic_us(), rest_us = LOOK_FACTOR * (now_us - began_us);
    relay->look_at_us = now_us + (more                       ? 0
                                  : ok && taken && !launched ? CLAIM_US
                                  : rest_us > LOOK_US        ? rest_us
                                                             : LOOK_US);
    pg_rows_free(taken);
    return ok;
}

/* ---- upkeep --------------------------------------------------------------------------------- */

static bool relay_measure(struct outbox_relay *relay, int64_t now_us, struct err *err) {
    struct rows_depth depth;
    if (!rows_measure(&relay->rows, &depth, err)) {
        return false;
    }
    relay->measure_at_us = now_us + MEASURE_US;
    metric_set(relay_metric(RM_DEPTH), (double)depth.pending);
    metric_set(relay_metric(RM_FAILED_ROWS), (double)depth.failed);
    metric_set(relay_metric(RM_OLDEST), depth.oldest_s);
    thread_lock(&relay->thread);
    relay->status.depth = depth;
    relay->status.in_flight = (int64_t)relay->flights.messages;
    thread_unlock(&relay->thread);
    return true;
}

static bool relay_prune(struct outbox_relay *relay, int64_t now_us, struct err *err) {
    int64_t pruned;
    if (!rows_prune(&relay->rows, &pruned, err)) {
        return false;
    }
    metric_add(relay_metric(RM_PRUNED), (double)pruned);
    relay->prune_at_us = now_us + (pruned >= ROWS_PRUNED ? 0 : PRUNE_US);
    return true;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static bool relay_work(struct outbox_relay *relay, bool look, struct err *err) {
    int64_t now_us = clock_monotonic_us();
    if (!pg_wake(relay->rows.pg, CONNECT_TIMEOUT_MS, err) ||
        (now_us >= relay->claim_at_us && !relay_claim_lease(relay, now_us, err)) ||
        !relay_note_reports(relay, err)) {
        return false;
    }
    if ((look || now_us >= relay->look_at_us) && !relay_publish_pending(relay, err)) {
        return false;
    }
    if (now_us >= relay->measure_at_us && !relay_measure(relay, now_us, err)) {
        return false;
    }
    relay_note_kafka(relay, now_us);
    return !relay->holds || now_us < relay->prune_at_us || relay_prune(relay, now_us, err);
}

/* The time of the next work if nobody wakes the thread. */
static int64_t relay_next_work_us(const struct outbox_relay *relay) {
    int64_t next_us = relay_earlier(relay->claim_at_us, relay->measure_at_us);
    if (relay->holds) {
        next_us = relay_earlier(next_us, relay->look_at_us);
        next_us = relay_earlier(next_us, relay->prune_at_us);
    }
    if (relay->flights.messages > 0) {
        next_us = relay_earlier(next_us, clock_monotonic_us() + REPORTS_US);
    }
    return next_us;
}

/* False: stop. *look: messages were stored. */
static bool relay_wait_for_work(struct outbox_relay *relay, int64_t until_us, bool outage,
                                bool *look) {
    thread_lock(&relay->thread);
    while ((outage || !(relay->reported || (relay->woken && relay->holds))) &&
           thread_sleep(&relay->thread, until_us)) {
    }
    *look = relay->woken || relay->reported;
    relay->woken = relay->reported = false;
    bool go_on = !relay->thread.stopping;
    thread_unlock(&relay->thread);
    return go_on;
}

/* Waits up to STOP_MS for messages in flight, and releases the lease. */
static void relay_finish(struct outbox_relay *relay) {
    struct err err = {0};
    int64_t deadline_us = clock_monotonic_us() + STOP_MS * 1000LL;
    bool ok = pg_connected(relay->rows.pg);
    while (ok && relay->flights.messages > 0 && clock_monotonic_us() < deadline_us) {
        thread_lock(&relay->thread);
        clock_condition_wait(&relay->thread.changed, &relay->thread.lock,
                             relay_earlier(deadline_us, clock_monotonic_us() + REPORTS_US));
        thread_unlock(&relay->thread);
        ok = relay_note_reports(relay, &err);
    }
    relay_drop_flights(relay);
    if (relay->holds && ok && !rows_release(&relay->rows, &err)) {
        log_warning(
            "this process could not release the outbox lease: another publishes once it expires",
            LOG_TEXT("error", err.text));
    }
}

static void *relay_main(void *context) {
    struct outbox_relay *relay = context;
    int64_t until_us = 0;
    bool ok = true, look = true;
    while (relay_wait_for_work(relay, until_us, !ok, &look)) {
        struct err err = {0};
        ok = relay_work(relay, look, &err);
        relay_note_database(relay, ok, &err);
        until_us = ok ? relay_next_work_us(relay) : clock_monotonic_us() + OUTAGE_US;
    }
    relay_finish(relay);
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static void relay_name_holder(struct outbox_relay *relay) {
    char host[256] = "";
    if (gethostname(host, sizeof host) != 0) {
        snprintf(host, sizeof host, "unknown");
    }
    host[sizeof host - 1] = '\0';
    snprintf(relay->holder, sizeof relay->holder, "%s:%d:%" PRId64, host, (int)getpid(),
             clock_wall_us());
    relay->rows.holder = relay->holder;
}

static void relay_free(struct outbox_relay *relay) {
    pg_destroy(relay->rows.pg);
    pg_params_destroy(relay->rows.params);
    topic_backoff_free(&relay->backoffs);
    thread_free(&relay->thread);
    free(relay);
}

struct outbox_relay *outbox_relay_start(const struct config *config, struct err *err) {
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator outbox",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = ROWS_STATEMENT_MS,
        .writes = true,
    };
    struct outbox_relay *relay = xcalloc(1, sizeof *relay);
    relay->config = config;
    relay->rows.pg = pg_create(&options);
    relay->rows.params = pg_params_create();
    relay->rows.horizon_hours = config->outbox.horizon_hours;
    relay->rows.keep_rows = config->outbox.keep_rows;
    thread_init(&relay->thread);
    relay_name_holder(relay);
    for (enum relay_metric which = RM_DEPTH; which < RM_COUNT; which++) {
        relay_metric(which); /* present before the first event */
    }
    if (!thread_start(&relay->thread, relay_main, relay, "outbox relay", err)) {
        relay_free(relay);
        return NULL;
    }
    return relay;
}

void outbox_relay_end(struct outbox_relay *relay) {
    thread_stop(&relay->thread);
}

void outbox_relay_stop(struct outbox_relay *relay) {
    if (!relay) {
        return;
    }
    outbox_relay_end(relay);
    relay_free(relay);
}

/* ---- for others ----------------------------------------------------------------------------- */

void outbox_wake(struct outbox_relay *relay) {
    if (!relay) {
        return;
    }
    thread_lock(&relay->thread);
    relay->woken = true;
    thread_wake(&relay->thread);
    thread_unlock(&relay->thread);
}

void outbox_relay_report(struct outbox_relay *relay, struct buffer *json) {
    json_put_name(json, "outbox");
    if (!relay) {
        buffer_append_text(json, "null");
        return;
    }
    buffer_append_text(json, "{");
    thread_lock(&relay->thread);
    json_put_bool(json, "publishes", relay->status.publishes);
    json_put_int(json, "pending", relay->status.depth.pending);
    json_put_int(json, "oldest_pending_s", (int64_t)relay->status.depth.oldest_s);
    json_put_int(json, "failed", relay->status.depth.failed);
    json_put_int(json, "in_flight", relay->status.in_flight);
    json_put_text(json, "error", slice_of(relay->status.error[0] ? relay->status.error : NULL));
    thread_unlock(&relay->thread);
    buffer_append_text(json, "}");
}
