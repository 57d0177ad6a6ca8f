/* pipeline: from messages to committed rows, wherever the messages come from: a script state and
 * connections to Postgres and Redis, which one thread owns. Its units have headers of their own, in
 * the order in which a batch meets them: batch.h, verdicts.h, commit.h, after_commit.h.
 *
 * The database's offsets are the truth: they move by compare-and-set, and whenever the outcome of
 * a transaction is unknown its batch is dropped and work starts again from what the database
 * says. */
#ifndef AGG_HOST_PIPELINE_PIPELINE_H
#define AGG_HOST_PIPELINE_PIPELINE_H

#include "bindings/pg.h"
#include "bindings/redis.h"
#include "config/config.h"
#include "script/script.h"
#include "after_commit.h"
#include "announcer.h"
#include "breaker.h"
#include "partitions.h"
#include "transaction.h"
#include "waits.h"

enum pipeline_mode {
    PIPELINE_FOLLOW, /* offsets advance by compare-and-set with the rows */
    PIPELINE_RETRY,  /* the events are rejected ones: what is applied leaves rejected_events */
};

struct pipeline_options {
    struct script_generation *generation; /* with its settings */
    struct cache *cache;     /* what a commit outdates is dropped here; NULL: no caches */
    const char *group;       /* whose offsets these are */
    const char *search_path; /* of the connection; NULL: as the server has it */
    const char *qualifier;   /* in the place of PROGRAM_SCHEMA_QUALIFIER; NULL: that */
    const char *application_name;
    const char *muted; /* why scripts may touch no outside system; NULL: they may */
    bool with_redis;
    bool marks; /* what handlers publish is stored, and what reactions follow is marked: where
                   events are taken for good, and in a shadow that has tables of its own for both */
    struct outbox_relay *relay;    /* that looks once messages are stored; NULL: none runs here */
    void (*marked)(void *context); /* a commit has marked keys; on the pipeline's thread; or NULL */
    void *marked_context;
    bool no_breaker; /* nobody waits: history is as it is, however much of it is rejected */
    bool quiet;      /* rejected events are not logged one by one */
    bool uncounted;  /* beside what the process counts: nothing of it shows in the metrics */
    enum pipeline_mode mode;
    void (*release)(void *owner); /* of a message; NULL: nothing to release */
};

struct pipeline_metrics {
    struct metric_cell *redis_up, *processing_seconds;
    struct commit_metrics commit;
};

struct pipeline {
    struct pipeline_options options;      /* what it points to outlives the pipeline */
    struct script_generation *generation; /* a reference */
    const struct config *config;          /* the generation's */
    struct script_instance *scripts;      /* NULL: none could be made */
    struct err scripts_err;               /* why */
    struct pg *pg;
    struct pg_params *params; /* of the statement that is being queued */
    struct redis *redis;      /* to look up which events were committed; NULL: none */
    struct announcer announcer;
    uint64_t view_epoch; /* which database this is */
    struct partitions partitions;
    struct breaker breaker;
    struct waits waits; /* the handlers that are left alone for now */
    size_t batch_limit; /* events of a batch: fewer than configured while transactions time out */
    struct transaction transaction; /* the one under way, or the last */
    struct pipeline_metrics metrics;
};

/* No network yet. False: err says why, and pipeline_close is still to be called. */
bool pipeline_open(struct pipeline *pipeline, const struct pipeline_options *options,
                   struct err *err);
void pipeline_close(struct pipeline *pipeline);
/* The gauge that says whether a dependency answered last. */
struct metric_cell *pipeline_dependency_metric(const char *dependency);
/* Connects unless connected, and checks the view against the schema on a fresh connection. */
bool pipeline_connect(struct pipeline *pipeline, struct err *err);
/* A healthy script state, a new one if the last one hit a limit. */
bool pipeline_renew_scripts(struct pipeline *pipeline);

/* The index of a partition, which is added where it is not known yet, with its handler: batches
 * that are to have its events must be cleared then. */
size_t pipeline_partition(struct pipeline *pipeline, const char *topic, int32_t number);

/* Goes on by other scripts and their settings, of which it takes over both references, and gives
 * back those that it had. The breaker begins without verdicts, and nothing waits. Batches that have
 * events must have been handled to the end; they are committed as what they are. Those that are
 * empty are to be cleared. */
void pipeline_switch_scripts(struct pipeline *pipeline, struct script_generation **generation,
                             struct script_instance **scripts);

#endif
