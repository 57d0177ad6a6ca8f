/* pipeline: turns records into committed rows. It holds a script state and connections to Postgres
 * and Redis; one thread owns it. A batch passes batch.h, verdicts.h, commit.h, after_commit.h.
 *
 * The database owns the offsets; they move by compare-and-set. If the outcome of a transaction is
 * unknown, its batch is dropped and the offsets are read again. */
#pragma once

#include "bindings/pg.h"
#include "bindings/redis.h"
#include "config/config.h"
#include "script/script.h"
#include "after_commit.h"
#include "announcer.h"
#include "breaker.h"
#include "encode.h"
#include "horizon.h"
#include "partitions.h"
#include "transaction.h"
#include "waits.h"

enum pipeline_mode {
    PIPELINE_FOLLOW, /* offsets advance by compare-and-set with the rows */
    PIPELINE_RETRY,  /* events of rejected_events: those that are applied are deleted there */
};

struct pipeline_options {
    struct script_generation *generation;
    struct cache *cache;     /* NULL: no cached responses to invalidate */
    const char *group;       /* the consumer group of the offsets */
    const char *search_path; /* NULL: the server's default */
    const char *qualifier;   /* replaces PROGRAM_SCHEMA_QUALIFIER; NULL: it stays */
    const char *application_name;
    const char *muted; /* why scripts may not use outside systems; NULL: they may */
    bool with_redis;
    bool marks; /* stores messages and marks: live ingestion, and shadows with tables for both */
    struct outbox_relay *relay; /* woken when messages are stored; NULL: none runs here */
    /* A commit has marked keys. behind: the transaction was full, so more records wait. Called on
     * the pipeline's thread. NULL: none. */
    void (*marked)(void *context, bool behind);
    void *marked_context;
    bool no_breaker; /* no handler waits, whatever share of its events is rejected */
    bool quiet;      /* does not log rejected events */
    bool uncounted;  /* changes no metric of the process */
    enum pipeline_mode mode;
    void (*release)(void *owner); /* releases a record; NULL: nothing to release */
    bool releases_early; /* once its event is handled; the caller reads a refused batch again */
};

struct pipeline_metrics {
    struct metric_cell *redis_up, *processing_seconds;
    struct commit_metrics commit;
};

struct pipeline {
    struct pipeline_options options;      /* the caller keeps what it points to */
    struct script_generation *generation; /* a reference */
    const struct config *config;          /* the generation's */
    struct script_instance *scripts;      /* NULL: creation failed, */
    struct err scripts_err;               /* for this reason */
    struct pg *pg;
    struct pg_params *params; /* of the statement that is being queued */
    struct redis *redis;      /* looks up processed ids; NULL: none */
    struct announcer announcer;
    uint64_t view_epoch; /* identifies the database */
    struct horizon horizon;
    struct partitions partitions;
    struct breaker breaker;
    struct waits waits;   /* handlers that wait */
    size_t batch_limit;   /* events in a batch: below the configured limit after a time-out */
    bool beside_requests; /* batches are smaller: Postgres' processes leave the processor sooner */
    struct arena *extracted; /* values of the events that are handled next, of one batch */
    struct encoded encoded;
    int keeps_batches; /* as many commits come before records are released early again */
    struct transaction transaction; /* the current one, or the last */
    struct pipeline_metrics metrics;
};

/* Opens no connection. False: err is set, and the caller still calls pipeline_close. */
bool pipeline_open(struct pipeline *pipeline, const struct pipeline_options *options,
                   struct err *err);
void pipeline_close(struct pipeline *pipeline);
struct metric_cell *pipeline_dependency_metric(const char *dependency);
/* Connects unless connected. Checks the view against the schema on each new connection. */
bool pipeline_connect(struct pipeline *pipeline, struct err *err);
/* Replaces a script state that hit a limit. False: scripts_err is set. */
bool pipeline_renew_scripts(struct pipeline *pipeline);

/* The index of a partition. Adds an unknown one; then clear the batches that take its events. */
size_t pipeline_partition(struct pipeline *pipeline, const char *topic, int32_t number);

/* Sets each partition's handler to the one that the generation declares for its topic. */
void pipeline_find_handlers(struct pipeline *pipeline);

/* Switches to another generation and returns the old references through the same arguments. The
 * breaker forgets its verdicts and no handler waits. Batches with events must be handled to the
 * end; they are committed unchanged. The caller clears empty batches. */
void pipeline_switch_scripts(struct pipeline *pipeline, struct script_generation **generation,
                             struct script_instance **scripts);
