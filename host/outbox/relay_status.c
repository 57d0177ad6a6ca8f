/* relay_status: what operators see of the relay: metrics, log lines of outages, and the report. */
#include <stdio.h>

#include "base/json_put.h"
#include "base/log.h"
#include "relay_private.h"

#define MEASURE_US 2000000
#define SILENCE_US 10000000 /* without a delivery, until a warning */

struct metric_cell *relay_status_metric(enum relay_metric which) {
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

void relay_status_set_error(struct outbox_relay *relay, const char *text) {
    thread_lock(&relay->thread);
    snprintf(relay->status.error, sizeof relay->status.error, "%s", text);
    thread_unlock(&relay->thread);
}

void relay_status_note_database(struct outbox_relay *relay, bool ok, const struct err *err) {
    if (!ok && !relay->outage_logged) {
        log_warning("the outbox relay cannot reach the database; messages stay pending",
                    LOG_TEXT("error", err->text));
        relay_status_set_error(relay, pg_plain_reason(err)); /* no host, no role */
    } else if (ok && relay->outage_logged) {
        log_info("the outbox relay reached the database again");
        relay_status_set_error(relay, "");
    }
    relay->outage_logged = !ok;
}

void relay_status_note_prune(struct outbox_relay *relay, bool ok, const struct err *err) {
    if (!ok && !relay->prune_logged) {
        log_warning("the outbox relay cannot delete the rows of done messages: the table grows",
                    LOG_TEXT("error", err->text));
    }
    relay->prune_logged = !ok;
}

void relay_status_note_kafka(struct outbox_relay *relay, int64_t now_us) {
    bool silent = relay->in_flight.messages > 0 && now_us - relay->delivered_us > SILENCE_US;
    if (silent && !relay->silence_logged) {
        log_warning(
            "Kafka acknowledged no message for ten seconds; messages stay pending, in order",
            LOG_INT("in_flight", (int64_t)relay->in_flight.messages));
        relay_status_set_error(relay, "Kafka takes no messages");
    } else if (!silent && relay->silence_logged) {
        log_info("Kafka acknowledges messages again");
        relay_status_set_error(relay, "");
    }
    relay->silence_logged = silent;
}

bool relay_status_measure(struct outbox_relay *relay, int64_t now_us, struct err *err) {
    struct rows_depth depth;
    if (!rows_measure(&relay->rows, &depth, err)) {
        return false;
    }
    relay->measure_at_us = now_us + MEASURE_US;
    metric_set(relay_status_metric(RM_DEPTH), (double)depth.pending);
    metric_set(relay_status_metric(RM_FAILED_ROWS), (double)depth.failed);
    metric_set(relay_status_metric(RM_OLDEST), depth.oldest_s);
    thread_lock(&relay->thread);
    relay->status.depth = depth;
    relay->status.in_flight = (int64_t)relay->in_flight.messages;
    thread_unlock(&relay->thread);
    return true;
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
