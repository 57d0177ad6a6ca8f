/* side_pipeline: one generation's side of a shadow run: its pipeline into a schema of its own. It
 * touches no outside system, logs nothing and counts nothing. One thread. */
#pragma once

#include "pipeline/batch.h"
#include "pipeline/pipeline.h"
#include "rebuild/log_reader.h"
#include "rebuild/shadow.h"

#define SIDE_NO_EVENT SIZE_MAX
/* The schemas of the two sides; names that need no quotes. */
#define SIDE_OLD_SCHEMA "aggregator_shadow_run_old"
#define SIDE_NEW_SCHEMA "aggregator_shadow_run_new"

struct side_counts {
    int64_t events, applied, superseded, ignored, rejected, expired, outside;
    int64_t cpu_us; /* of the thread, in extraction, handlers and merging */
};

struct side {
    struct shadow shadow;
    struct pipeline pipeline;
    struct batch batch;
    bool open;
    struct side_counts counts;
};

/* The error that scripts get from outside systems. */
extern const char side_muted[];

/* `release` is for the messages, or NULL. False: side_close is still to be called. */
bool side_open(struct side *side, struct script_generation *generation, struct sql_session *session,
               const struct shadow_kind *kind, void (*release)(void *owner), struct err *err);
/* Drops the schema. */
void side_close(struct side *side, struct sql_session *session);
/* Connects; the reader's partitions become the side's, in order. */
bool side_connect(struct side *side, const struct log_reader *reader, struct err *err);

/* A turn: take records until either side is full, handle them, commit them; then the events can be
 * read until side_clear. side_take returns the event's index in the batch, or SIDE_NO_EVENT if no
 * handler declares its topic. */
size_t side_take(struct side *side, const struct log_record *record);
/* Handles events for a bounded time; true when all are handled. */
bool side_handle(struct side *side);
bool side_commit(struct side *side, struct err *err);
void side_clear(struct side *side);
/* After the last turn: has the server count the rows, so that it plans queries well. */
bool side_analyze(const struct side *side, struct sql_session *session, struct err *err);
/* After side_analyze: runs the reactions until no key is left; go_on is asked between rounds.
 * False: the database is unavailable, or go_on returned false. */
bool side_react(const struct side *side, bool (*go_on)(void *context, struct err *err),
                void *context, struct err *err);

/* The name of the handler that the event belongs to. */
const char *side_handler_of(const struct side *side, const struct event *event);
/* Appends the event's place, id and handler as members of a JSON object. */
void side_put_event(struct buffer *json, const struct side *side, const struct event *event);
