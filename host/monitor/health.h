/* health: is the process alive, and may it be sent requests. One thread of its own asks every
 * dependency, over its own connections: when somebody wants to know and the last look is older than
 * a second, and every five seconds unasked. A storm of questions costs one look a second, and a
 * dependency that hangs holds nobody up but that thread. A script that is stuck makes the process
 * unready at once. Any thread may ask. */
#ifndef AGG_HOST_MONITOR_HEALTH_H
#define AGG_HOST_MONITOR_HEALTH_H

#include "base/buffer.h"
#include "config/config.h"
#include "http/builtin_paths.h"
#include "ingest/ingest.h"
#include "script/script.h"

struct health;

struct health_options {
    const struct config *config;
    /* Appends `"kafka":{…}` of the consumers. */
    enum ingest_state (*consuming)(void *context, struct buffer *json);
    void *context;
};

/* Everything in options must outlive it. */
struct health *health_start(const struct health_options *options, struct err *err);
void health_stop(struct health *health);

/* From now on reports tell of these scripts. */
void health_set_scripts(struct health *health, uint64_t generation, const char *hash);

/* True when all would be answered at once. */
bool health_is_fresh(struct health *health);

/* Appends the JSON answer; false: answer 503. HEALTH_ALIVE never waits, and is good unless
 * http.healthz_needs_database wants Postgres: it tells what was last seen. The others wait for a
 * fresh look, at most timeout_ms; where several callers wait already, they tell what was last seen
 * too. */
bool health_report(struct health *health, enum health_question question, int timeout_ms,
                   struct buffer *json);

#endif
