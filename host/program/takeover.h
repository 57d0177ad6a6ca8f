/* takeover: what a process does that was started by `aggregator upgrade`, before it has clients and
 * partitions: it waits for the database, and refuses a schema that its scripts do not fit, and a
 * Kafka that does not answer though its predecessor's does. */
#pragma once

#include "config/config.h"
#include "monitor/health.h"
#include "script/script.h"

enum takeover_result {
    TAKEOVER_GO,      /* take clients and partitions: the predecessor says so, or has ended */
    TAKEOVER_STOPPED, /* a signal, or the predecessor's */
    TAKEOVER_REFUSED  /* err says why */
};

/* Blocks until one of these. All parts must run. */
enum takeover_result takeover_await(const struct config *config,
                                    const struct script_generation *generation,
                                    struct health *health, struct err *err);
