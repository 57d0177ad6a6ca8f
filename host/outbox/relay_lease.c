/* relay_lease: one process for each database publishes: the holder of a lease in the table
 * outbox_relay, which it renews each second. */
#include "base/fault.h"
#include "base/log.h"
#include "relay_private.h"

#define TAKEOVER_US 1000000 /* a lease is taken over after it was seen expired for this long */

static void relay_lease_note(struct outbox_relay *relay, bool holds) {
    if (holds && !relay->holds) {
        FAULT_POINT("outbox_lease");
    }
    if (holds != relay->holds) {
        log_info(holds ? "this process took the outbox lease and publishes"
                       : "this process lost the outbox lease: another publishes");
    }
    relay->holds = holds;
    metric_set(relay_status_metric(RM_PUBLISHES), holds);
    thread_lock(&relay->thread);
    relay->status.publishes = holds;
    thread_unlock(&relay->thread);
}

bool relay_lease_claim(struct outbox_relay *relay, int64_t now_us, struct err *err) {
    enum rows_lease lease;
    bool takes_over = relay->run_out_us > 0 && now_us - relay->run_out_us >= TAKEOVER_US;
    relay->claim_at_us = now_us + RELAY_CLAIM_US;
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
        relay->rows.until_us = relay->lease_until_us + TAKEOVER_US / 2;
    } else if (relay->holds) {
        log_warning("another process took the outbox lease: this one was stopped, or without the "
                    "database, for longer than its lease; messages in flight may be sent twice",
                    LOG_INT("in_flight", (int64_t)relay->in_flight.messages));
        relay->rows.until_us = 0;
        relay_publish_drop_producer(relay);
    }
    relay_lease_note(relay, lease == ROWS_MINE);
    return true;
}

void relay_lease_expire(struct outbox_relay *relay, int64_t now_us) {
    if (relay->rows.until_us == 0 || now_us < relay->lease_until_us) {
        return;
    }
    relay->rows.until_us = 0;
    if (relay->producer && relay->in_flight.messages > 0) {
        log_warning(
            "the outbox lease expired without the database: what Kafka has not acknowledged "
            "is left to its next holder",
            LOG_INT("in_flight", (int64_t)relay->in_flight.messages));
        relay_publish_drop_producer(relay);
    }
}

bool relay_lease_allows(const struct outbox_relay *relay, int64_t now_us) {
    return relay->holds && now_us < relay->lease_until_us - RELAY_CLAIM_US;
}

void relay_lease_release(struct outbox_relay *relay) {
    struct err err = {0};
    if (relay->holds && !rows_release(&relay->rows, &err)) {
        log_warning(
            "this process could not release the outbox lease: another publishes once it expires",
            LOG_TEXT("error", err.text));
    }
}
