/* relay_private: the relay's state and the functions that its files share. All run on the relay's
 * thread, unless a comment says otherwise. */
#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "in_flight.h"
#include "relay.h"
#include "rows.h"
#include "topic_backoff.h"

#define RELAY_CLAIM_US 1000000 /* interval between claims of the lease */

struct outbox_relay {
    const struct config *config;
    char holder[320];
    struct rows rows;                /* of the thread alone, as all up to `thread` */
    struct kafka_producer *producer; /* NULL: none yet */
    struct in_flight in_flight;
    struct topic_backoffs backoffs;
    size_t alone_left; /* messages to be sent one at a time */
    bool is_alone;     /* the message in flight is sent so */
    bool holds;
    int64_t lease_until_us; /* while it holds */
    int64_t run_out_us;     /* since when another's lease is seen expired; 0: it is not */
    int64_t claim_at_us, look_at_us, measure_at_us, prune_at_us;
    int64_t replace_at_us, replace_wait_us; /* of a broken client; wait 0: none was broken */
    int64_t delivered_us; /* when Kafka last accepted a message, or none was in flight */
    bool outage_logged, silence_logged, prune_logged;
    struct thread thread; /* its lock guards what follows */
    bool held;            /* it only waits */
    bool woken, reported;
    struct {
        bool publishes;
        struct rows_depth depth;
        int64_t in_flight;
        char error[512]; /* "": none */
    } status;
};

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

static inline int64_t relay_smaller(int64_t one_us, int64_t other_us) {
    return one_us < other_us ? one_us : other_us;
}

/* ---- relay_lease: which process publishes --------------------------------------------------- */

/* Claims or renews the lease. A process that loses it drops its client. */
bool relay_lease_claim(struct outbox_relay *relay, int64_t now_us, struct err *err);
/* Drops the client once the lease has expired: another process may send the same messages and newer
 * ones of their keys, and this one must not follow it. */
void relay_lease_expire(struct outbox_relay *relay, int64_t now_us);
/* This process holds the lease long enough to reach Kafka. */
bool relay_lease_allows(const struct outbox_relay *relay, int64_t now_us);
/* Another process publishes from now on. Nothing if this one does not hold the lease. */
void relay_lease_release(struct outbox_relay *relay);

/* ---- relay_publish: rows to Kafka, and Kafka's reports to rows ------------------------------ */

/* Sends pending messages and sets the time of the next query for them. */
bool relay_publish_pending(struct outbox_relay *relay, struct err *err);
/* Writes the outcomes that Kafka reported into their rows. A reported message stays in flight until
 * its row has the outcome: it is not sent again. */
bool relay_publish_note_reports(struct outbox_relay *relay, struct err *err);
/* Purges the client, if there is one. Messages that Kafka has not acknowledged are reported as not
 * sent. */
void relay_publish_drop_producer(struct outbox_relay *relay);

/* ---- relay_status: metrics, log lines and the report ---------------------------------------- */

/* Any thread. */
struct metric_cell *relay_status_metric(enum relay_metric which);
/* Sets the error of the report; "" clears it. */
void relay_status_set_error(struct outbox_relay *relay, const char *text);
/* Logs the begin and the end of an outage of the database. */
void relay_status_note_database(struct outbox_relay *relay, bool ok, const struct err *err);
/* Logs the first of several failures to delete rows. */
void relay_status_note_prune(struct outbox_relay *relay, bool ok, const struct err *err);
/* Logs the begin and the end of a silence of Kafka. */
void relay_status_note_kafka(struct outbox_relay *relay, int64_t now_us);
/* Counts pending and failed messages, for the metrics and the report. */
bool relay_status_measure(struct outbox_relay *relay, int64_t now_us, struct err *err);
