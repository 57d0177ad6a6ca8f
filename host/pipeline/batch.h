/* batch: the events of one transaction. Messages are taken, become events, and are handled
 * (extract, look up, run the handler, merge): batch.c takes and cuts, batch_handle.c handles. The
 * thread that owns the pipeline owns its batches. */
#ifndef AGG_HOST_PIPELINE_BATCH_H
#define AGG_HOST_PIPELINE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "encode.h"

struct arena;
struct extract_value;
struct kafka_message;
struct merge;
struct pipeline;
struct script_generation;

/* One record of a partition. */
struct log_record {
    size_t partition; /* index into the pipeline's partitions */
    int64_t offset;
    int64_t broker_time_us;
    struct slice payload;     /* data NULL: the record has no value */
    struct slice traceparent; /* as traceparent_read returns it; as long as payload */
    void *owner; /* what keeps payload alive; given to the pipeline's release function */
};

enum event_state {
    EVENT_PENDING,
    EVENT_APPLIED,
    EVENT_IGNORED,
    EVENT_DUPLICATE,
    EVENT_REJECTED,
    EVENT_WAITS,  /* its handler waits: the batch moves no offset past it, and it is read again */
    EVENT_OUTSIDE /* of a muted pipeline: what becomes of it rests on an outside system's answer */
};

struct event {
    struct log_record record;
    int handler; /* of the batch's generation; -1: none declares its topic */
    enum event_state state;
    bool superseded; /* EVENT_APPLIED: every merge lost to another of its batch */
    bool has_id;     /* the envelope's event_id could be read: */
    uint8_t id[16];
    struct slice correlation_id;  /* data NULL: none */
    struct extract_value *values; /* NULL: not extracted yet, or handled and forgotten */
    struct slice reason;          /* EVENT_REJECTED: a word, in the arena */
    struct slice detail;
    uint64_t identity;    /* of the bytes in their partition, for processed_ids.c */
    const char *rests_on; /* see script_instance_rests_on */
    int64_t at_us;        /* the time of its version, once it was handled */
};

/* How far a batch moves one partition. */
struct advance {
    int64_t expected;     /* what the database must hold */
    int64_t next;         /* -1: the batch has nothing of this partition */
    int64_t last_time_us; /* the broker's, of the last message; 0: it has none */
};

struct batch {
    struct script_generation *generation; /* a reference: whose scripts and view it is handled by */
    struct event *events;
    size_t count;
    size_t looked_up; /* events extracted, and asked of Redis */
    size_t forgotten; /* handled events whose values are no more */
    size_t handled;   /* events with a verdict */
    size_t capacity;
    size_t bytes;
    struct arena *extracted; /* what the events' values are in, while they are handled */
    struct merge *merge;
    struct encoded encoded;
    struct advance *advances; /* parallel to the pipeline's partitions */
    size_t advance_count;
    size_t rejected;
    size_t waiting;     /* events that are EVENT_WAITS */
    size_t outside;     /* events that are EVENT_OUTSIDE */
    size_t marks;       /* keys that its transaction marked for reactions */
    bool traced;        /* a message that was taken has a traceparent */
    size_t judged;      /* events that the breaker has judged; 0: to be judged from the first on */
    int64_t started_us; /* when its commit began */
};

/* ---- batch.c ------------------------------------------------------------------------------- */

/* A record of that partition, which owns the client's from now on: the pipeline's release function
 * is kafka_message_release. */
struct log_record log_record_of_kafka(const struct kafka_message *message, size_t partition);
void batch_init(struct batch *batch, struct script_generation *generation);
void batch_free(struct pipeline *pipeline, struct batch *batch);
/* Empties it, for the pipeline's scripts, and releases its messages; also after the partitions have
 * changed. */
void batch_clear(struct pipeline *pipeline, struct batch *batch);
bool batch_full(const struct pipeline *pipeline, const struct batch *batch);
/* Its merges take as much memory as a batch's may (ingest.batch_max_merge_bytes): no further event
 * is handled in it. */
bool batch_has_merged_enough(const struct pipeline *pipeline, const struct batch *batch);
/* It can be committed, once what is not handled has been split off. */
bool batch_is_ready(const struct pipeline *pipeline, const struct batch *batch);
/* Its scripts have been replaced: it can still be committed, but not be handled or bisected. */
bool batch_is_outdated(const struct pipeline *pipeline, const struct batch *batch);
/* Adds a message; the batch releases it from now on. */
void batch_take(struct pipeline *pipeline, struct batch *batch, const struct log_record *message);
/* Leaves out the handler's events from `first` on: its partitions stand in front of them again. */
void batch_leave_out(struct pipeline *pipeline, struct batch *batch, int handler, size_t first);
/* Drops the merges of events that are no longer EVENT_APPLIED. The rows must be selected again. */
void batch_forget_unapplied(struct batch *batch);
/* Moves the events that are not handled yet to `rest`, which is empty: to be called before the
 * commit of a batch that has merged enough. */
void batch_split(struct pipeline *pipeline, struct batch *batch, struct batch *rest);

/* ---- batch_handle.c ------------------------------------------------------------------------ */

/* Handles the events that were taken, unless no script state can be made: such a batch cannot be
 * committed. Events of handlers that come to wait meanwhile are left out. */
void batch_handle(struct pipeline *pipeline, struct batch *batch);
/* The same, but begins no event once so many microseconds have passed; true when all are handled.
 * Neither begins one once the batch has merged enough. */
bool batch_handle_for(struct pipeline *pipeline, struct batch *batch, int64_t limit_us);
/* Why a batch is not handled to its end. Always false. */
bool batch_describe_unhandled(const struct pipeline *pipeline, const struct batch *batch,
                              struct err *err);

#endif
