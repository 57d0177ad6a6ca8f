/* health: checks the dependencies and reports whether the process is alive and ready. One thread
 * with its own connections checks when a caller asks and the last check is older than a second,
 * else every five seconds: a dependency that hangs blocks that thread only. A stuck script makes
 * the process unready at once. Any thread may ask. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"
#include "http/builtin_paths.h"
#include "ingest/ingest.h"
#include "script/script.h"

struct health;

struct health_options {
    const struct config *config;
    /* Appends `"kafka":{…}`. */
    enum ingest_state (*consuming)(void *context, struct buffer *json);
    void *context;
};

/* The options' pointers must outlive it. */
struct health *health_start(const struct health_options *options, struct err *err);
void health_stop(struct health *health);

enum health_phase {
    HEALTH_SERVES,
    HEALTH_STOPS,     /* ready for nothing: a balancer sends its requests elsewhere */
    HEALTH_READS_ONLY /* at an upgrade: ready if it can answer requests; another consumes */
};
/* HEALTH_SERVES at the start. */
void health_set_phase(struct health *health, enum health_phase phase);

/* Later reports name this generation. */
void health_set_scripts(struct health *health, uint64_t generation, const char *hash);

/* True: health_report would not wait. */
bool health_is_fresh(struct health *health);

/* Sets the metric ras_ready to what /readyz answers by the last check. */
void health_show_ready(struct health *health);

/* Appends the JSON body; false: answer 503. HEALTH_ALIVE never waits, and needs Postgres only with
 * http.healthz_needs_database. The others wait at most timeout_ms for a fresh check; while
 * several callers wait, further ones get the last check. */
bool health_report(struct health *health, enum health_question question, int timeout_ms,
                   struct buffer *json);
