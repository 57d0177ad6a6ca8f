#include "relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "relay_private.h"

#define CONNECT_TIMEOUT_MS 1500
#define STOP_MS 2000
#define REPORTS_US 20000 /* interval of reading the reports of an incomplete sending */
#define PRUNE_US 60000000
#define OUTAGE_US 500000 /* interval of attempts to connect to the database */

/* False: the connection is lost. Any other failure delays only the next attempt. */
static bool relay_prune(struct outbox_relay *relay, int64_t now_us, struct err *err) {
    int64_t pruned;
    relay->prune_at_us = now_us + PRUNE_US;
    bool ok = rows_prune(&relay->rows, &pruned, err);
    if (ok) {
        metric_add(relay_status_metric(RM_PRUNED), (double)pruned);
        relay->prune_at_us = pruned >= ROWS_PRUNED ? now_us : relay->prune_at_us;
    } else if (!pg_connected(relay->rows.pg)) {
        return false;
    }
    relay_status_note_prune(relay, ok, err);
    return true;
}

static bool relay_work(struct outbox_relay *relay, bool look, struct err *err) {
    int64_t now_us = clock_monotonic_us();
    if (!pg_wake(relay->rows.pg, rows_timeout_ms(&relay->rows, CONNECT_TIMEOUT_MS), err) ||
        (now_us >= relay->claim_at_us && !relay_lease_claim(relay, now_us, err)) ||
        !relay_publish_note_reports(relay, err)) {
        return false;
    }
    if ((look || now_us >= relay->look_at_us) && !relay_publish_pending(relay, err)) {
        return false;
    }
    if (now_us >= relay->measure_at_us && !relay_status_measure(relay, now_us, err)) {
        return false;
    }
    relay_status_note_kafka(relay, now_us);
    return !relay->holds || now_us < relay->prune_at_us || relay_prune(relay, now_us, err);
}

/* The time of the next work if nobody wakes the thread. */
static int64_t relay_next_work_us(const struct outbox_relay *relay) {
    int64_t next_us = relay_smaller(relay->claim_at_us, relay->measure_at_us);
    if (relay->holds) {
        next_us = relay_smaller(next_us, relay->look_at_us);
        next_us = relay_smaller(next_us, relay->prune_at_us);
    }
    if (relay->in_flight.messages > 0) {
        next_us = relay_smaller(next_us, clock_monotonic_us() + REPORTS_US);
    }
    return next_us;
}

/* False: stop. *look: messages were stored. */
static bool relay_wait_for_work(struct outbox_relay *relay, int64_t until_us, bool outage,
                                bool *look) {
    thread_lock(&relay->thread);
    while (relay->held && !relay->thread.stopping) {
        (void)thread_sleep(&relay->thread, INT64_MAX / 4);
    }
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
    while (ok && relay->in_flight.messages > 0 && clock_monotonic_us() < deadline_us) {
        thread_lock(&relay->thread);
        clock_condition_wait(&relay->thread.changed, &relay->thread.lock,
                             relay_smaller(deadline_us, clock_monotonic_us() + REPORTS_US));
        thread_unlock(&relay->thread);
        ok = relay_publish_note_reports(relay, &err);
    }
    relay_publish_drop_producer(relay);
    in_flight_drop(&relay->in_flight);
    if (ok) {
        relay_lease_release(relay);
    }
}

static void *relay_main(void *context) {
    struct outbox_relay *relay = context;
    int64_t until_us = 0;
    bool ok = true, look = true;
    while (relay_wait_for_work(relay, until_us, !ok, &look)) {
        struct err err = {0};
        ok = relay_work(relay, look, &err);
        relay_lease_expire(relay, clock_monotonic_us());
        relay_status_note_database(relay, ok, &err);
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
    relay->held = true;
    relay->rows.pg = pg_create(&options);
    relay->rows.params = pg_params_create();
    relay->rows.horizon_hours = config->outbox.horizon_hours;
    relay->rows.keep_rows = config->outbox.keep_rows;
    thread_init(&relay->thread);
    relay_name_holder(relay);
    for (enum relay_metric which = RM_DEPTH; which < RM_COUNT; which++) {
        relay_status_metric(which); /* present before the first event */
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

void outbox_relay_release(struct outbox_relay *relay) {
    if (!relay) {
        return;
    }
    thread_tell(&relay->thread, &relay->held, false);
}

void outbox_wake(struct outbox_relay *relay) {
    if (!relay) {
        return;
    }
    thread_tell(&relay->thread, &relay->woken, true);
}
