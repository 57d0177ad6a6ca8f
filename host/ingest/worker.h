/* worker: the private state of one ingest thread. Everything here belongs to that thread, but for
 * the atomics at the end.
 *
 * Two batches: `inflight` is being committed by Postgres, `filling` is being read, parsed and
 * merged meanwhile. The database's offsets are the truth: whenever an outcome is unknown, or
 * another process moved them, both batches are dropped and consumption starts again from what the
 * database says. */
#ifndef AGG_HOST_INGEST_WORKER_H
#define AGG_HOST_INGEST_WORKER_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "../../bindings/pg.h"
#include "../../bindings/redis.h"
#include "../cache/cache.h"
#include "../config.h"
#include "../metrics.h"
#include "../script/script.h"

enum event_state { EVENT_PENDING, EVENT_APPLIED, EVENT_IGNORED, EVENT_DUPLICATE, EVENT_REJECTED };

struct event {
    rd_kafka_message_t *message; /* owned */
    enum event_state state;
    int handler;                  /* -1: none */
    struct extract_value *values; /* in the batch's arena; NULL until extracted */
    struct slice reason;          /* EVENT_REJECTED: a word, in the arena */
    struct slice detail;
    uint64_t identity; /* of the bytes in their partition, for seen.c */
};

/* How far a batch moves one partition. */
struct advance {
    int64_t expected; /* what the database must hold */
    int64_t next;     /* -1: the batch has nothing of this partition */
};

struct batch {
    struct event *events;
    size_t count;
    size_t capacity;
    size_t bytes;
    struct merge *merge;
    struct advance *advances; /* parallel to worker->partitions */
    size_t rejected;
    int64_t started_us; /* when its commit began */
};

struct partition {
    char *topic;
    int32_t number;
    int64_t
        next_offset; /* what the database will hold after the batches under way; -1: never seen */
    int64_t event_time_us; /* broker's time of the newest message taken, for lag */
};

struct statement { /* a prepared upsert: name and text live as long as the connection object */
    char *name;
    char *sql;
    size_t table;
    uint32_t groups;
};

struct worker_metrics {
    struct metric_cell *processed, *errors, *batch_events, *commit_seconds, *rows, *merges;
    struct metric_cell *duplicates, *database_up, *redis_up, *ignored, *processing_seconds;
};

struct worker {
    int number;
    const struct config *config;
    struct cache *cache;
    struct script_generation *generation;
    struct script_instance *scripts;
    rd_kafka_t *kafka;
    rd_kafka_queue_t *queue;
    int kafka_fd; /* eventfd: the consumer queue became non-empty */
    int wake_fd;  /* eventfd: stop was asked for */
    struct pg *pg;
    struct pg_params *params;
    struct redis *redis; /* NULL: none configured */
    uint64_t view_epoch; /* which database this is: seen.c */
    struct batch batches[2];
    struct batch *filling;
    struct batch *inflight; /* NULL: no transaction under way */
    int64_t inflight_deadline_us;
    bool commit_acknowledged;
    struct partition *partitions;
    size_t partition_count;
    rd_kafka_topic_partition_list_t *assignment; /* of the group; NULL: none */
    bool must_load_offsets; /* the assignment is not being fetched until offsets are read */
    int64_t retry_at_us;
    int failures; /* in a row, for the back-off */
    int64_t kafka_commit_at_us;
    int64_t lag_at_us;
    struct statement *statements;
    size_t statement_count;
    uint64_t *unannounced; /* tags of commits that Redis has not heard of */
    size_t unannounced_count;
    struct worker_metrics metrics;
    _Atomic bool stopping;
    _Atomic bool database_ready;
    _Atomic bool assigned;
};

/* consumer.c: the Kafka side */
bool consumer_open(struct worker *worker, struct err *err);
void consumer_close(struct worker *worker);
/* Reads the offsets of the assignment from Postgres and starts fetching. */
bool consumer_load_offsets(struct worker *worker, struct err *err);
/* Forgets both batches and stops fetching until the offsets are read again. */
void consumer_restart(struct worker *worker);
/* Best effort, for lag tools only. */
void consumer_report_offsets(struct worker *worker);
int consumer_find_partition(const struct worker *worker, const rd_kafka_message_t *message);

/* batch.c */
void batch_init(struct batch *batch, const struct view *view);
void batch_free(struct batch *batch);
void batch_clear(struct worker *worker, struct batch *batch);
bool batch_full(const struct worker *worker, const struct batch *batch);
/* Reads what the consumer has, up to the batch's bounds, and handles it. True when the queue ran
 * dry. */
bool batch_fill(struct worker *worker);
void batch_reject(struct batch *batch, struct event *event, const char *code_and_detail);

/* commit.c */
bool commit_begin(struct worker *worker, struct batch *batch, struct err *err);
enum pg_progress commit_progress(struct worker *worker, struct err *err);
/* The same transaction, statement by statement, rejecting the events that the database refuses. */
bool commit_bisect(struct worker *worker, struct batch *batch, struct err *err);

/* seen.c: the memory of event ids in Redis */
void seen_lookup(struct worker *worker, struct event *events, size_t count);
/* After the commit: marks the batch's events and announces what the cache must forget. */
void seen_mark(struct worker *worker, struct batch *batch);

/* worker.c */
void *worker_main(void *worker);
void worker_fail(struct worker *worker, const struct err *err);

#endif
