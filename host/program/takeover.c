#include "takeover.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "bindings/kafka_consumer.h"
#include "check/schema_check.h"
#include "schema/migrate.h"
#include "upgrade/predecessor.h"

#define CHECK_TIMEOUT_MS 15000
#define HEALTH_TIMEOUT_MS 5000
#define KAFKA_TIMEOUT_MS 5000
#define LOOK_INTERVAL_MS 100

static bool takeover_schema_fits(const struct config *config,
                                 const struct script_generation *generation, struct err *err) {
    struct sql_session session;
    int pending = 0;
    bool ok = sql_session_open(&session, config, "aggregator upgrade", CHECK_TIMEOUT_MS, err) &&
              migrate_pending(session.pg, config, &pending, err);
    if (ok && pending > 0) {
        ok = err_set(err, ERR_INPUT,
                     "the database lacks %d migration%s of this program: run `aggregator migrate` "
                     "first",
                     pending, pending == 1 ? "" : "s");
    }
    ok = ok && schema_check(&session, generation, SCHEMA_PREPARE, err);
    sql_session_close(&session);
    return ok;
}

/* What the predecessor reaches must be reached: another kafka.brokers would end ingestion. */
static bool takeover_kafka_answers(const struct config *config, struct err *err) {
    struct kafka_consumer_options options = {.settings = config_kafka_settings(config)};
    struct kafka_consumer *consumer = kafka_consumer_open(&options, err);
    size_t count;
    struct kafka_broker *brokers =
        consumer ? kafka_consumer_brokers(consumer, KAFKA_TIMEOUT_MS, &count) : NULL;
    bool good = brokers != NULL;
    free(brokers);
    if (consumer && !good) {
        err_set(err, ERR_UNAVAILABLE,
                "no broker of kafka.brokers (%s) answers within %d s, and the running process "
                "reaches Kafka: correct kafka.brokers or kafka.options",
                config->kafka.brokers, KAFKA_TIMEOUT_MS / 1000);
    }
    kafka_consumer_destroy(consumer);
    return good;
}

static bool takeover_database_answers(struct health *health) {
    struct buffer report = {0};
    bool good = health_report(health, HEALTH_READS, HEALTH_TIMEOUT_MS, &report);
    buffer_free(&report);
    return good;
}

/* CHANNEL_TIMEOUT: it answers. The predecessor bounds the wait. */
static enum channel_result takeover_await_database(struct health *health) {
    enum channel_result result = CHANNEL_TIMEOUT;
    while (result == CHANNEL_TIMEOUT && !takeover_database_answers(health)) {
        result = predecessor_await(stop_fd(), LOOK_INTERVAL_MS);
    }
    return result;
}

enum takeover_result takeover_await(const struct config *config,
                                    const struct script_generation *generation,
                                    struct health *health, struct err *err) {
    enum channel_result result = takeover_await_database(health);
    if (result == CHANNEL_TIMEOUT) {
        if (!takeover_schema_fits(config, generation, err) ||
            (predecessor_consumes() && !takeover_kafka_answers(config, err))) {
            return stop_requested() ? TAKEOVER_STOPPED : TAKEOVER_REFUSED;
        }
        (void)predecessor_tell(CHANNEL_READY, AGGREGATOR_VERSION);
    }
    while (result == CHANNEL_TIMEOUT) {
        result = predecessor_await(stop_fd(), LOOK_INTERVAL_MS);
    }
    if (result == CHANNEL_GONE) {
        log_warning("the process that started this one has ended: this one takes over");
    }
    return result == CHANNEL_STOPPED || stop_requested() ? TAKEOVER_STOPPED : TAKEOVER_GO;
}
