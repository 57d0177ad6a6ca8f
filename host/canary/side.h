/* side: one generation's half of a canary: its pipeline into its own schema. It may touch no
 * outside system, says nothing and counts nothing. One thread. */
#ifndef AGG_HOST_CANARY_SIDE_H
#define AGG_HOST_CANARY_SIDE_H

#include "pipeline/batch.h"
#include "pipeline/pipeline.h"
#include "rebuild/log_reader.h"
#include "rebuild/shadow.h"

#define SIDE_NO_EVENT SIZE_MAX
/* The schemas of the two sides; names that need no quotes. */
#define SIDE_OLD_SCHEMA "aggregator_canary_old"
#define SIDE_NEW_SCHEMA "aggregator_canary_new"

struct side_counts {
    int64_t events, applied, superseded, ignored, rejected, outside;
    int64_t cpu_us; /* of the thread, in extraction, handlers and merging */
};

struct side {
    struct shadow shadow;
    struct pipeline pipeline;
    struct batch batch;
    bool open;
    struct side_counts counts;
};

/* Why scripts may touch no outside system. */
extern const char side_muted[];

/* `release` is for the messages, or NULL. False: side_close is still to be called. */
bool side_open(struct side *side, struct script_generation *generation, struct sql_session *session,
               const struct shadow_kind *kind, void (*release)(void *owner), struct err *err);
/* Drops the schema. */
void side_close(struct side *side, struct sql_session *session);
/* Connects; the reader's partitions are the side's, in order. */
bool side_connect(struct side *side, const struct log_reader *reader, struct err *err);

/* A turn: takes messages until either side is full, handles them, settles them in the database;
 * then the events can be looked at, until they are cleared. */
bool side_full(const struct side *side);
/* The event's index in the batch, or SIDE_NO_EVENT where no handler declares its topic. */
size_t side_take(struct side *side, const struct log_record *message);
/* Handles for a moment; true when all events are. */
bool side_handle(struct side *side);
bool side_settle(struct side *side, struct err *err);
void side_clear(struct side *side);
/* After the last turn: the server learns how many rows there are, to plan queries of them. */
bool side_analyze(const struct side *side, struct sql_session *session, struct err *err);

/* Appends the members of a JSON object that say which event it is, and whose. */
void side_put_event(struct buffer *json, const struct side *side, const struct event *event);

#endif
