/* calls: keeps what scripts ask of pg, redis, http and kafka, so that `aggregator try` can print
 * it. One thread. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

struct calls {
    bool keeps_records; /* kafka sends nothing: records are only kept */
};

/* In an open state before its scripts load: wraps the bindings, or the doubles in their place.
 * False: err. */
bool calls_open(const struct calls *calls, struct script_instance *instance, struct err *err);

/* Appends the calls since the last report, a line each, or as elements of a JSON list; *unavailable
 * gets the first failure for want of a system, or stays empty. */
void calls_report(struct script_instance *instance, bool as_json, struct buffer *out,
                  struct buffer *unavailable);
