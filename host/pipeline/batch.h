/* batch: the events of one transaction. batch.c takes records and splits batches; batch_handle.c
 * extracts, looks up processed ids, runs handlers and merges. The pipeline's thread owns it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

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
    struct slice traceparent; /* as traceparent_read returns it; lives as long as payload */
    void *owner; /* owns payload; for the pipeline's release function; NULL: released */
};

enum event_state {
    EVENT_PENDING,
    EVENT_APPLIED,
    EVENT_IGNORED,
    EVENT_EXPIRED, /* what it writes has left the view */
    EVENT_DUPLICATE,
    EVENT_REJECTED,
    EVENT_WAITS,  /* its handler waits: the offset stays before it, and it is read again */
    EVENT_OUTSIDE /* of a muted pipeline: its outcome depends on an outside system */
};

struct event {
    struct log_record record;
    int handler; /* in the batch's generation; -1: none declares its topic */
    enum event_state state;
    bool superseded; /* EVENT_APPLIED: every merge lost to another one of its batch */
    bool has_id;     /* id holds the envelope's event_id */
    uint8_t id[16];
    struct slice correlation_id;  /* data NULL: none, or the record is released */
    struct extract_value *values; /* NULL: not extracted, or already handled */
    struct slice reason;          /* EVENT_REJECTED: a code, in the merge's arena */
    struct slice detail;
    uint64_t identity;    /* hash of payload, database and partition, for processed_ids.c */
    const char *rests_on; /* see script_instance_rests_on */
    int64_t at_us;        /* the event's time, set when it is handled */
};

/* The offset change of one partition. */
struct advance {
    int64_t expected;     /* compare: what the database must hold */
    int64_t next;         /* set; -1: the batch has no event of this partition */
    int64_t last_time_us; /* the broker's time of the last record; 0: none */
    bool touched;         /* the batch's list of touched partitions has it */
};

struct batch {
    struct script_generation *generation; /* a reference: it handles this batch */
    struct event *events;
    size_t count;
    size_t looked_up; /* events extracted and looked up in Redis */
    size_t forgotten; /* handled events whose values were freed */
    size_t handled;   /* events with a verdict */
    size_t released;  /* handled events whose records were released if they could be */
    size_t capacity;
    size_t bytes;
    struct merge *merge;
    struct advance *advances; /* parallel to the pipeline's partitions */
    size_t advance_count;
    size_t *touched; /* indices of partitions of which it took records, each once */
    size_t touched_count;
    size_t rejected;
    size_t waiting;     /* events in EVENT_WAITS */
    size_t outside;     /* events in EVENT_OUTSIDE */
    size_t marks;       /* rows that its transaction inserts into reaction_marks */
    bool is_encoded;    /* if the pipeline's parameters are this batch's: they match the rows */
    bool is_partial;    /* a record was released: it cannot be bisected */
    bool traced;        /* some record has a traceparent */
    bool is_old;        /* an event's verdict depends on a horizon: horizon.h */
    size_t judged;      /* events that the breaker has judged; 0: judging restarts */
    int64_t started_us; /* when its commit began */
};

/* ---- batch.c ------------------------------------------------------------------------------- */

/* Takes over the client's message: the pipeline's release function is kafka_message_release. */
struct log_record log_record_of_kafka(const struct kafka_message *message, size_t partition);
void batch_init(struct batch *batch, struct script_generation *generation);
void batch_free(struct pipeline *pipeline, struct batch *batch);
/* Empties it, releases its records, and adopts the pipeline's generation and partitions. */
void batch_clear(struct pipeline *pipeline, struct batch *batch);
bool batch_full(const struct pipeline *pipeline, const struct batch *batch);
/* Its merges have reached ingest.batch_max_merge_bytes: it handles no further event. */
bool batch_has_merged_enough(const struct pipeline *pipeline, const struct batch *batch);
/* It can be committed after batch_split. */
bool batch_is_ready(const struct pipeline *pipeline, const struct batch *batch);
/* The pipeline has switched generation: the batch can be committed, not handled or bisected. */
bool batch_is_outdated(const struct pipeline *pipeline, const struct batch *batch);
/* Adds a record, which the batch releases. */
void batch_take(struct pipeline *pipeline, struct batch *batch, const struct log_record *message);
/* Removes the handler's events from `first` on: their offsets move back before them. */
void batch_leave_out(struct pipeline *pipeline, struct batch *batch, int handler, size_t first);
/* Releases the records of handled events that are not rejected, if the pipeline releases early:
 * a record of Kafka keeps the broker's whole reply in memory. */
void batch_release_handled(struct pipeline *pipeline, struct batch *batch);
/* Drops the merges of events that are not EVENT_APPLIED. Call merge_select afterwards. */
void batch_forget_unapplied(struct batch *batch);
/* Moves unhandled events to the empty batch `rest`, before the commit. */
void batch_split(struct pipeline *pipeline, struct batch *batch, struct batch *rest);

/* ---- batch_handle.c ------------------------------------------------------------------------ */

/* Handles the events, and starts none after limit_us or once the batch has merged enough. True: all
 * are handled. Without a script state none is, and the batch cannot be committed. */
bool batch_handle(struct pipeline *pipeline, struct batch *batch, int64_t limit_us);
/* Sets err to the reason why events are unhandled. Always false. */
bool batch_describe_unhandled(const struct pipeline *pipeline, const struct batch *batch,
                              struct err *err);
