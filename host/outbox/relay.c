#include "relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "flights.h"
#include "rests.h"
#include "rows.h"

#define WINDOW_MESSAGES 1000
#define WINDOW_BYTES (32UL * 1024 * 1024)
#define CONNECT_TIMEOUT_MS 1500
#define STOP_MS 2000
#define CLAIM_US 1000000    /* the lease is renewed, or asked for, so often */
#define TAKEOVER_US 1000000 /* so long a lease must be seen to have run out */
#define LOOK_US 100000      /* for messages that other processes stored */
#define REPORTS_US 20000    /* for reports of a flight that is not complete */
#define MEASURE_US 2000000
#define PRUNE_US 60000000
#define OUTAGE_US 500000    /* between two attempts at a database that is away */
#define SILENCE_US 10000000 /* of Kafka, until it is said */
#define LOOK_FACTOR 10      /* between two looks it rests so many times as long as one took */

struct outbox_relay {
    const struct config *config;
    char holder[320];
    struct rows rows;                /* the thread's, as what follows up to the lock */
    struct kafka_producer *producer; /* NULL: none yet */
    struct flights flights;
    struct rests rests;
    bool holds;
    int64_t lease_until_us; /* while it holds */
    int64_t run_out_us;     /* since when another's lease is seen to have run out; 0: it has not */
    int64_t claim_at_us, look_at_us, measure_at_us, prune_at_us;
    int64_t heard_us; /* when Kafka last took a message, or nothing was in flight */
    bool outage_said, silence_said;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t changed;
    bool woken, reported, stopping;
    struct {
        bool publishes;
        struct rows_depth depth;
        int64_t in_flight;
        char error[512]; /* "": nothing is wrong */
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
        {METRIC_GAUGE, "ras_outbox_depth", "Messages that wait to be published, up to 100000."},
        {METRIC_GAUGE, "ras_outbox_failed_messages",
         "Messages that Kafka refuses, until an operator retries or drops them."},
        {METRIC_GAUGE, "ras_outbox_oldest_pending_seconds", "Age of the oldest that waits."},
        {METRIC_GAUGE, "ras_outbox_publishes", "1 where this process publishes for all of them."},
        {METRIC_COUNTER, "ras_outbox_sent_total", "Messages that Kafka has taken."},
        {METRIC_COUNTER, "ras_outbox_settled_total",
         "Messages that were not sent: they became older than the horizon while they waited."},
        {METRIC_COUNTER, "ras_outbox_failed_total", "Messages that Kafka refused for good."},
        {METRIC_COUNTER, "ras_outbox_delayed_total",
         "Messages that could not be sent and wait to be tried again."},
        {METRIC_COUNTER, "ras_outbox_pruned_total", "Rows of done messages that were deleted."},
        {METRIC_HISTOGRAM, "ras_outbox_publish_seconds",
         "From the transaction that stored a message to Kafka's acknowledgement."},
    };
    return metric_single(metrics[which].type, metrics[which].name, metrics[which].help);
}

static void relay_make_relay_metrics(void) {
    for (enum relay_metric which = RM_DEPTH; which < RM_COUNT; which++) {
        relay_metric(which);
    }
}

/* ---- what is said --------------------------------------------------------------------------- */

static void relay_set_status_error(struct outbox_relay *relay, const char *text) {
    pthread_mutex_lock(&relay->lock);
    snprintf(relay->status.error, sizeof relay->status.error, "%s", text);
    pthread_mutex_unlock(&relay->lock);
}

static void relay_note_database(struct outbox_relay *relay, bool ok, const struct err *err) {
    if (!ok && !relay->outage_said) {
        log_warning("the outbox waits for the database; messages stay pending",
                    LOG_TEXT("error", err->text));
        relay_set_status_error(relay, err->text);
    } else if (ok && relay->outage_said) {
        log_info("the outbox is at the database again");
        relay_set_status_error(relay, "");
    }
    relay->outage_said = !ok;
}

/* Once for each silence, and once when it ends. */
static void relay_note_kafka(struct outbox_relay *relay, int64_t now_us) {
    bool silent = relay->flights.messages > 0 && now_us - relay->heard_us > SILENCE_US;
    if (silent && !relay->silence_said) {
        log_warning("Kafka has taken no message for ten seconds; they stay pending, and leave in "
                    "order when it does",
                    LOG_INT("in_flight", (int64_t)relay->flights.messages));
        relay_set_status_error(relay, "Kafka takes no messages");
    } else if (!silent && relay->silence_said) {
        log_info("Kafka takes messages again");
        relay_set_status_error(relay, "");
    }
    relay->silence_said = silent;
}

static void relay_note_publishes(struct outbox_relay *relay, bool holds) {
    if (holds && !relay->holds) {
        FAULT_POINT("outbox_lease");
    }
    if (holds != relay->holds) {
        log_info(holds ? "this process publishes what is in the outbox"
                       : "another process publishes what is in the outbox");
    }
    relay->holds = holds;
    metric_set(relay_metric(RM_PUBLISHES), holds);
    pthread_mutex_lock(&relay->lock);
    relay->status.publishes = holds;
    pthread_mutex_unlock(&relay->lock);
}

/* ---- the lease ------------------------------------------------------------------------------ */

/* What the client has may be sent by the new holder, too: the less of it leaves, the better. */
static void relay_give_up_flights(struct outbox_relay *relay) {
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
        relay->run_out_us = 0; /* the holder may have been cut off as well */
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
        log_warning("another process has taken the outbox over: this one was stopped, or cut off "
                    "from the database, for longer than its lease; what it had sent may be sent "
                    "twice",
                    LOG_INT("in_flight", (int64_t)relay->flights.messages));
        relay_give_up_flights(relay);
    }
    relay_note_publishes(relay, lease == ROWS_MINE);
    return true;
}

/* With a margin for the way to Kafka. */
static bool relay_may_publish(const struct outbox_relay *relay, int64_t now_us) {
    return relay->holds && now_us < relay->lease_until_us - CLAIM_US;
}

/* ---- reports -------------------------------------------------------------------------------- */

struct noting {
    struct outbox_relay *relay;
    struct row_result results[WINDOW_MESSAGES];
    size_t count;
    int64_t now_us; /* Unix */
};

/* An error of the topic is one of all its messages: they wait, in order, and the others go on. One
 * of a message alone stays its own: the later ones of its key go on, because nothing that may come
 * would let it pass. */
static enum row_outcome relay_outcome_of(struct outbox_relay *relay,
                                         const struct flight_message *message,
                                         const struct kafka_delivery *delivery) {
    if (delivery->kind == ERR_NONE) {
        return ROW_SENT;
    }
    if (delivery->kind == ERR_INPUT && !delivery->of_topic) {
        return ROW_FAILED;
    }
    if (delivery->of_topic) {
        rests_begin(&relay->rests, message->topic, clock_monotonic_us(), delivery->reason);
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
        rests_end(&relay->rests, message->topic);
        relay->heard_us = clock_monotonic_us();
    } else if (outcome == ROW_FAILED) {
        log_error("Kafka refuses a message: aggregator outbox show, retry or drop",
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

/* Until the rows say so, what was reported counts as under way: it is not sent again. */
static bool relay_note_reports(struct outbox_relay *relay, struct err *err) {
    struct noting *noting = xcalloc(1, sizeof *noting);
    noting->relay = relay;
    noting->now_us = clock_wall_us();
    flights_look(&relay->flights, relay_note_report, noting);
    if (noting->count > 0) {
        FAULT_POINT("outbox_acknowledged");
    }
    bool ok = noting->count == 0 || rows_note(&relay->rows, noting->results, noting->count, err);
    if (ok) {
        if (noting->count > 0) {
            FAULT_POINT("outbox_noted");
        }
        relay_count_results(noting);
        flights_settle(&relay->flights);
    }
    free(noting);
    return ok;
}

/* ---- publishing ----------------------------------------------------------------------------- */

static bool relay_settle_old(struct outbox_relay *relay, const struct pg_result *taken,
                             struct err *err) {
    struct row_result *results = xcalloc((size_t)pg_rows_count(taken) + 1, sizeof *results);
    size_t count = 0;
    for (int row = 0; row < pg_rows_count(taken); row++) {
        if (strcmp(pg_rows_text(taken, row, ROW_OLD), "t") == 0) {
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

/* A message that is past the horizon when Kafka comes back is old news: the client gives it up. */
static int relay_message_timeout_ms(const struct outbox_relay *relay) {
    int64_t horizon_ms = relay->config->outbox.horizon_hours * 3600000LL;
    return horizon_ms < INT32_MAX ? (int)horizon_ms : INT32_MAX;
}

/* One that met a fatal error has given its messages up; they are pending again by now. */
static bool relay_hold_producer(struct outbox_relay *relay, struct err *err) {
    if (relay->producer && kafka_producer_broken(relay->producer) && relay->flights.messages == 0) {
        kafka_producer_abandon(relay->producer);
        relay->producer = NULL;
    }
    if (!relay->producer) {
        struct kafka_settings settings = config_kafka_settings(relay->config);
        relay->producer = kafka_producer_open(&settings, relay_message_timeout_ms(relay), err);
    }
    return relay->producer && !kafka_producer_broken(relay->producer);
}

static void relay_note_no_client(struct outbox_relay *relay, const struct err *reason) {
    if (reason->text[0] && strcmp(relay->status.error, reason->text) != 0) {
        log_error("the outbox has no Kafka client: see kafka in config.lua",
                  LOG_TEXT("error", reason->text));
        relay_set_status_error(relay, reason->text);
    }
}

static void relay_wake_for_reports(void *context) {
    struct outbox_relay *relay = context;
    pthread_mutex_lock(&relay->lock);
    relay->reported = true;
    pthread_cond_signal(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

static bool relay_has_news(const struct pg_result *taken) {
    for (int row = 0; row < pg_rows_count(taken); row++) {
        if (strcmp(pg_rows_text(taken, row, ROW_OLD), "t") != 0) {
            return true;
        }
    }
    return false;
}

static bool relay_launch(struct outbox_relay *relay, const struct pg_result *taken) {
    struct err reason = {0};
    if (!relay_may_publish(relay, clock_monotonic_us()) || !relay_has_news(taken)) {
        return true;
    }
    if (!relay_hold_producer(relay, &reason)) {
        relay_note_no_client(relay, &reason);
        return false;
    }
    relay->heard_us = relay->flights.messages > 0 ? relay->heard_us : clock_monotonic_us();
    flights_launch(&relay->flights, relay->producer, taken, relay_wake_for_reports, relay);
    FAULT_POINT("outbox_produced");
    return true;
}

static bool relay_take_room(const struct outbox_relay *relay, size_t *messages, size_t *bytes) {
    *messages = WINDOW_MESSAGES - relay->flights.messages;
    *bytes = WINDOW_BYTES > relay->flights.bytes ? WINDOW_BYTES - relay->flights.bytes : 0;
    return *messages > 0 && *bytes > 0;
}

static bool relay_take_pending(struct outbox_relay *relay, struct pg_result **taken,
                               struct err *err) {
    const char *topics[RESTS_MAX];
    struct rows_passed_over passed_over = {.topics = topics};
    size_t messages, bytes;
    *taken = NULL;
    if (!relay_take_room(relay, &messages, &bytes)) {
        return true;
    }
    passed_over.flying = flights_ids(&relay->flights, &passed_over.flying_count);
    passed_over.topic_count = rests_topics(&relay->rests, clock_monotonic_us(), topics);
    return rows_take(&relay->rows, &passed_over, messages, bytes, taken, err);
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
    bool ok = !taken || relay_settle_old(relay, taken, err);
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
    pthread_mutex_lock(&relay->lock);
    relay->status.depth = depth;
    relay->status.in_flight = (int64_t)relay->flights.messages;
    pthread_mutex_unlock(&relay->lock);
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

static int64_t relay_earlier(int64_t one_us, int64_t other_us) {
    return one_us < other_us ? one_us : other_us;
}

/* When there is something to do without being woken. */
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
    int status = 0;
    pthread_mutex_lock(&relay->lock);
    while (!relay->stopping && status == 0 &&
           (outage || !(relay->reported || (relay->woken && relay->holds)))) {
        status = clock_condition_wait(&relay->changed, &relay->lock, until_us);
    }
    *look = relay->woken || relay->reported;
    relay->woken = relay->reported = false;
    bool go_on = !relay->stopping;
    pthread_mutex_unlock(&relay->lock);
    return go_on;
}

/* What is under way has some time to be acknowledged; others need not wait for the lease. */
static void relay_finish(struct outbox_relay *relay) {
    struct err err = {0};
    int64_t deadline_us = clock_monotonic_us() + STOP_MS * 1000LL;
    bool ok = pg_connected(relay->rows.pg);
    while (ok && relay->flights.messages > 0 && clock_monotonic_us() < deadline_us) {
        pthread_mutex_lock(&relay->lock);
        clock_condition_wait(&relay->changed, &relay->lock,
                             relay_earlier(deadline_us, clock_monotonic_us() + REPORTS_US));
        pthread_mutex_unlock(&relay->lock);
        ok = relay_note_reports(relay, &err);
    }
    relay_give_up_flights(relay);
    if (relay->holds && ok && !rows_release(&relay->rows, &err)) {
        log_warning("the outbox's lease is not given back: another process goes on when it has "
                    "run out",
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

static void relay_free_relay(struct outbox_relay *relay) {
    pg_destroy(relay->rows.pg);
    pg_params_destroy(relay->rows.params);
    rests_free(&relay->rests);
    pthread_cond_destroy(&relay->changed);
    pthread_mutex_destroy(&relay->lock);
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
    pthread_mutex_init(&relay->lock, NULL);
    clock_condition_init(&relay->changed);
    relay_name_holder(relay);
    relay_make_relay_metrics();
    if (pthread_create(&relay->thread, NULL, relay_main, relay) != 0) {
        err_set(err, ERR_INTERNAL, "cannot start the thread of the outbox");
        relay_free_relay(relay);
        return NULL;
    }
    return relay;
}

void outbox_relay_stop(struct outbox_relay *relay) {
    if (!relay) {
        return;
    }
    pthread_mutex_lock(&relay->lock);
    relay->stopping = true;
    pthread_cond_signal(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
    pthread_join(relay->thread, NULL);
    relay_free_relay(relay);
}

/* ---- for others ----------------------------------------------------------------------------- */

void outbox_wake(struct outbox_relay *relay) {
    if (!relay) {
        return;
    }
    pthread_mutex_lock(&relay->lock);
    relay->woken = true;
    pthread_cond_signal(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

void outbox_relay_report(struct outbox_relay *relay, struct buffer *json) {
    json_put_name(json, "outbox");
    if (!relay) {
        buffer_append_text(json, "null");
        return;
    }
    buffer_append_text(json, "{");
    pthread_mutex_lock(&relay->lock);
    json_put_bool(json, "publishes", relay->status.publishes);
    json_put_int(json, "pending", relay->status.depth.pending);
    json_put_int(json, "oldest_pending_s", (int64_t)relay->status.depth.oldest_s);
    json_put_int(json, "failed", relay->status.depth.failed);
    json_put_int(json, "in_flight", relay->status.in_flight);
    json_put_text(json, "error", slice_of(relay->status.error[0] ? relay->status.error : NULL));
    pthread_mutex_unlock(&relay->lock);
    buffer_append_text(json, "}");
}
