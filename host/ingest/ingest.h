/* ingest: Kafka to Postgres. Each worker is a thread with its own consumer, script state and
 * connections; workers share the cache and the metrics. */
#pragma once

#include "base/buffer.h"
#include "cache/cache.h"
#include "config/config.h"
#include "script/script.h"

struct ingest;

struct ingest_options {
    const struct config *config;
    struct script_generation *generation;
    struct cache *cache;
    struct outbox_relay *relay; /* woken when messages are stored; NULL: none runs here */
    void (*marked)(void *context, bool behind); /* as in pipeline.h; on a worker's thread */
    void *context;
};

/* Starts config->ingest.workers threads, which may be none. They do not join the group before
 * ingest_join. Dependencies may be unavailable. The caller keeps what the options point to. */
struct ingest *ingest_start(const struct ingest_options *options, struct err *err);
/* Ends the open transactions, leaves the group and joins the threads. The report goes on. Once. */
void ingest_end(struct ingest *ingest);
/* The same if it has not ended, and frees. */
void ingest_stop(struct ingest *ingest);

/* One script state for each worker. NULL: err is set. */
struct ingest_scripts;
struct ingest_scripts *ingest_scripts_create(const struct ingest *ingest,
                                             struct script_generation *generation, struct err *err);
void ingest_scripts_destroy(struct ingest_scripts *scripts);

/* Offers them to the workers, which switch between two batches. It cannot fail and does not block.
 * Afterwards `scripts` holds earlier offers that were not taken; the caller destroys it. One thread
 * at a time. */
void ingest_switch(struct ingest *ingest, struct ingest_scripts *scripts);
/* Waits until the workers have switched. Returns the number that has not after timeout_ms; each
 * will before its next batch. Batches of the old scripts may be uncommitted. */
size_t ingest_await_switch(struct ingest *ingest, int timeout_ms);
size_t ingest_worker_count(const struct ingest *ingest);

/* ---- membership of the group, for an upgrade --------------------------------------------------
 */

/* The workers commit, leave the group and stay out of it. A static member (group.instance.id) keeps
 * its partitions for its successor. False: some have not left after timeout_ms. */
bool ingest_leave(struct ingest *ingest, int timeout_ms);
/* The workers join the group. Does not wait. */
void ingest_join(struct ingest *ingest);
/* Waits until the group has assigned partitions to all workers, or Kafka cannot be read. False: not
 * within timeout_ms. */
bool ingest_await_joined(struct ingest *ingest, int timeout_ms);

/* The number of workers whose breaker the running scripts opened. A worker that has not switched to
 * them yet is not counted: its breaker is of the scripts before. */
size_t ingest_stopped(const struct ingest *ingest);
/* Makes workers retry their waiting topics and accept the rejections of open breakers. Returns the
 * number of such workers. */
size_t ingest_resume(struct ingest *ingest);

enum ingest_state {
    INGEST_OFF,     /* by ingest.workers */
    INGEST_STOPPED, /* consumes nothing */
    INGEST_WAITS,   /* some topics wait */
    INGEST_MOVES,   /* consumes all topics */
};
/* Appends `"kafka":{…}` of the workers' state. */
enum ingest_state ingest_report(struct ingest *ingest, struct buffer *json);
