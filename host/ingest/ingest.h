/* ingest: Kafka to Postgres. Each worker is one thread that owns a consumer, a script instance, a
 * Postgres and a Redis connection; workers share nothing but the cache and the metrics. */
#ifndef AGG_HOST_INGEST_INGEST_H
#define AGG_HOST_INGEST_INGEST_H

#include "base/buffer.h"
#include "cache/cache.h"
#include "config/config.h"
#include "script/script.h"

struct ingest;

struct ingest_options {
    const struct config *config;
    struct script_generation *generation;
    struct cache *cache;
    struct outbox_relay *relay; /* that looks once messages are stored; NULL: none runs here */
    void (*marked)(
        void *context); /* a commit has marked keys for reactions; on a worker's thread */
    void *context;
};

/* Starts config->ingest.workers threads. No dependency need be there. What the options point to
 * must outlive the ingest. */
struct ingest *ingest_start(const struct ingest_options *options, struct err *err);
/* Finishes the transactions under way, leaves the group, joins the threads, frees. */
void ingest_stop(struct ingest *ingest);

/* What every worker needs to go on by other scripts. NULL: err says why. */
struct ingest_scripts;
struct ingest_scripts *ingest_scripts_create(const struct ingest *ingest,
                                             struct script_generation *generation, struct err *err);
void ingest_scripts_destroy(struct ingest_scripts *scripts);

/* Offers them to the workers, which take them between two batches; it cannot fail, and waits for
 * nobody. From then on `scripts` holds what was offered before and never taken, the caller's to
 * destroy. One thread at a time. */
void ingest_switch(struct ingest *ingest, struct ingest_scripts *scripts);
/* Waits at most timeout_ms for the workers to take what was offered; how many have not: each will,
 * before its next batch. What the old scripts have handled may still wait for its commit. */
size_t ingest_await_switch(struct ingest *ingest, int timeout_ms);
size_t ingest_worker_count(const struct ingest *ingest);

/* How many workers have topics that a breaker has stopped. */
size_t ingest_stopped(const struct ingest *ingest);
/* Has workers try at once what waits in them, and accept what breakers have stopped; how many. */
size_t ingest_resume(struct ingest *ingest);

enum ingest_state {
    INGEST_STOPPED, /* nothing is consumed */
    INGEST_WAITS,   /* but for topics that wait, all are */
    INGEST_MOVES,
};
/* Appends `"kafka":{…}` of the workers' state. */
enum ingest_state ingest_report(struct ingest *ingest, struct buffer *json);

#endif
