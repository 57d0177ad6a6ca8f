/* pipeline: from messages to committed rows, wherever the messages come from. A batch is taken,
 * handled (extract, look up, run the handler, merge) and committed with the offsets in one
 * transaction. One thread owns a pipeline with its script state and its two connections.
 *
 * The database's offsets are the truth: they move by compare-and-set, and whenever the outcome of
 * a transaction is unknown its batch is dropped and work starts again from what the database
 * says. */
#ifndef AGG_HOST_PIPELINE_PIPELINE_H
#define AGG_HOST_PIPELINE_PIPELINE_H

#include "../../bindings/pg.h"
#include "../../bindings/redis.h"
#include "../cache/cache.h"
#include "../config/config.h"
#include "../base/metrics.h"
#include "../script/script.h"
#include "breaker.h"
#include "partitions.h"
#include "waits.h"

/* One record of a partition. */
struct message {
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
    struct message message;
    int handler; /* of the batch's generation; -1: none declares its topic */
    enum event_state state;
    bool superseded; /* EVENT_APPLIED: every merge lost to another of its batch */
    bool has_id;     /* the envelope's event_id could be read: */
    uint8_t id[16];
    struct slice correlation_id;  /* data NULL: none */
    struct extract_value *values; /* NULL: not extracted yet, or handled and forgotten */
    struct slice reason;          /* EVENT_REJECTED: a word, in the arena */
    struct slice detail;
    uint64_t identity;    /* of the bytes in their partition, for seen.c */
    const char *rests_on; /* see script_instance_rests_on */
    int64_t at_us;        /* the time of its version, once it was handled */
};

/* How far a batch moves one partition. */
struct advance {
    int64_t expected;     /* what the database must hold */
    int64_t next;         /* -1: the batch has nothing of this partition */
    int64_t last_time_us; /* the broker's, of the last message; 0: it has none */
};

/* The parameters of a batch's upserts. */
struct encoded {
    struct encoded_table *tables; /* parallel to the view's; kept from batch to batch */
    size_t count;
    bool ready; /* they are of the rows as they are now */
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
    size_t marks;       /* keys that its transaction marked */
    bool traced;        /* a message that was taken has a traceparent */
    size_t judged;      /* events that the breaker has judged; 0: to be judged from the first on */
    int64_t started_us; /* when its commit began */
};

#define PIPELINE_PROCESSED_METRIC "ras_messages_processed_total"
#define PIPELINE_REJECTED_METRIC "ras_rejected_messages_total"

struct pipeline_metrics {
    struct metric_cell *processed, *batch_events, *commit_seconds, *rows, *rows_superseded;
    struct metric_cell *merges, *duplicates, *ignored, *superseded, *rejected, *redis_up;
    struct metric_cell *processing_seconds;
};

enum pipeline_mode {
    PIPELINE_FOLLOW, /* offsets advance by compare-and-set with the rows */
    PIPELINE_RETRY,  /* the events are rejected ones: what is applied leaves rejected_events */
};

struct pipeline_options {
    struct script_generation *generation; /* with its settings */
    struct cache *cache;     /* what a commit outdates is dropped here; NULL: no caches */
    const char *group;       /* whose offsets these are */
    const char *search_path; /* of the connection; NULL: as the server has it */
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

struct pipeline {
    struct pipeline_options options;      /* what it points to outlives the pipeline */
    struct script_generation *generation; /* a reference */
    const struct config *config;          /* the generation's */
    struct script_instance *scripts;      /* NULL: could not be made anew */
    struct err scripts_err;               /* why */
    struct pg *pg;
    struct pg_params *params;
    struct redis *redis; /* to look up what was seen; NULL: none */
    struct redis *marks; /* a connection of its own to mark it: nobody waits for the answers */
    bool marking;        /* is under way */
    bool announcing;     /* what is under way is the announcement of `pending`, the older one */
    struct cache_pending pending; /* commits that Redis may not have been told of yet */
    bool marks_refused;           /* Redis has answered so to what is under way */
    bool marks_missed;            /* it has answered that a commit before was not announced */
    int64_t marks_rest_until_us;  /* for that reason */
    uint64_t view_epoch;          /* which database this is: seen.c */
    struct partitions partitions;
    struct breaker breaker;
    struct waits waits;    /* the handlers that are left alone for now */
    bool opened_at_commit; /* the breaker has, and so the commit was not begun or not ended */
    const struct batch *committing; /* the batch whose transaction is under way; NULL: none */
    size_t batch_limit;   /* events of a batch: fewer than configured while transactions time out */
    bool caches_doubtful; /* Redis has not been told of a commit: all answers must be forgotten */
    uint64_t rows_sent;   /* of the transaction under way */
    uint64_t rows_written;
    struct outbox_stored stored; /* of the messages that it stores */
    bool commit_acknowledged;
    int64_t commit_started_us;
    int64_t commit_deadline_us;
    struct pipeline_metrics metrics;
};

/* ---- pipeline.c ---------------------------------------------------------------------------- */

/* No network yet. False: err says why, and pipeline_close is still to be called. */
bool pipeline_open(struct pipeline *pipeline, const struct pipeline_options *options,
                   struct err *err);
void pipeline_close(struct pipeline *pipeline);
/* The gauge that says whether a dependency answered last. */
struct metric_cell *pipeline_dependency_metric(const char *dependency);
/* Connects unless connected, and checks the view against the schema on a fresh connection. */
bool pipeline_connect(struct pipeline *pipeline, struct err *err);
/* A healthy script state, made anew if the last one hit a limit. */
bool pipeline_renew_scripts(struct pipeline *pipeline);

/* The index of a partition, which is added where it is not known yet, with its handler: batches
 * that are to have its events must be cleared then. */
size_t pipeline_partition(struct pipeline *pipeline, const char *topic, int32_t number);

/* Goes on by other scripts and their settings, of which it takes over both references, and gives
 * back those that it had. The breaker begins anew, and nothing waits. Batches that have events must
 * have been handled to the end; they are committed as what they are. Those that are empty are to be
 * cleared. */
void pipeline_replace_scripts(struct pipeline *pipeline, struct script_generation **generation,
                              struct script_instance **scripts);

/* ---- database_offsets.c
 * ----------------------------------------------------------------------------- */

/* A partition's place among cache_position: its name, and what its commits have counted. */
#define OFFSETS_NAME_SQL "(o.consumer_group || '/' || o.topic || '/' || o.partition)"
#define OFFSETS_POSITION_SQL                                                                       \
    OFFSETS_NAME_SQL                                                                               \
    ", (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected)::text"
/* Which database this is, and which table of offsets in it: columns that make one number. */
#define OFFSETS_EPOCH_SQL                                                                          \
    "(SELECT system_identifier::text FROM pg_control_system()), "                                  \
    "(SELECT oid::text FROM pg_database WHERE datname = current_database()), "                     \
    "'consumer_offsets'::regclass::oid::text"
#define OFFSETS_EPOCH_COLUMNS 3
uint64_t offsets_epoch(const PGresult *rows, int row, int column);
/* Reads it, for `view_epoch` and for the cache. */
bool offsets_read_epoch(struct pipeline *pipeline, struct err *err);
/* Reads where each of the pipeline's partitions goes on, adding those that the database does not
 * know yet. */
bool offsets_load(struct pipeline *pipeline, struct err *err);
/* Moves one partition without events, from where it stands. ERR_CONFLICT: somebody else did. */
bool offsets_move(struct pipeline *pipeline, struct partition *partition, int64_t next,
                  struct err *err);
/* True where the database holds what was committed; false with err of ERR_NONE where somebody has
 * moved an offset (a replay), and with a kind where it could not be asked. No transaction is under
 * way. */
bool offsets_unmoved(struct pipeline *pipeline, struct err *err);
/* Queues the compare-and-set of a batch's offsets, with what became of its events. */
bool offsets_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);
/* It was committed: where its partitions stand now, and what they have counted. */
void offsets_note_committed(struct pipeline *pipeline, const struct batch *batch);

/* ---- batch.c ------------------------------------------------------------------------------- */

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
bool batch_is_left(const struct pipeline *pipeline, const struct batch *batch);
/* Adds a message; the batch releases it from now on. */
void batch_take(struct pipeline *pipeline, struct batch *batch, const struct message *message);
/* Handles the events that were taken, unless no script state can be made: such a batch cannot be
 * committed. Events of handlers that come to wait meanwhile are left out. */
void batch_handle(struct pipeline *pipeline, struct batch *batch);
/* The same, but begins no event once so many microseconds have passed; true when all are handled.
 * Neither begins one once the batch has merged enough. */
bool batch_handle_for(struct pipeline *pipeline, struct batch *batch, int64_t limit_us);
/* Leaves out the handler's events from `first` on: its partitions stand in front of them again. */
void batch_leave_out(struct pipeline *pipeline, struct batch *batch, int handler, size_t first);
/* Drops the merges of events that are no longer EVENT_APPLIED. The rows are to be selected anew. */
void batch_forget_unapplied(struct batch *batch);
/* Why a batch is not handled to its end. Always false. */
bool batch_say_unhandled(const struct pipeline *pipeline, const struct batch *batch,
                         struct err *err);
/* Moves the events that are not handled yet to `rest`, which is empty: to be called before the
 * commit of a batch that has merged enough. */
void batch_split(struct pipeline *pipeline, struct batch *batch, struct batch *rest);

/* ---- rejection.c ------------------------------------------------------------------------------
 */

/* `text` is "code: detail"; a text without a code counts as handler_error. */
void reject_event(struct batch *batch, struct event *event, const char *text);
/* Counts and logs a rejected event that was committed. */
void reject_count(const struct pipeline *pipeline, const struct event *event);
/* Queues the batch's rejected events, and the bounds on how many are kept. */
bool reject_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

/* ---- outside_events.c
 * ----------------------------------------------------------------------------- */

/* Sets the handled events aside that rest on an outside system's answer; rows and rejections are
 * those of the others. */
void outside_set_aside(struct batch *batch);
/* Queues what is to be known of them; nothing where there are none. */
bool outside_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

/* ---- publish.c ----------------------------------------------------------------------------- */

/* Queues the messages of the selected events for the outbox; nothing where options.marks is not
 * set. */
bool publish_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

/* ---- reaction_marks.c
 * ------------------------------------------------------------------------------- */

/* Queues a mark for each key that the batch touches and a reaction follows; the rows are those of
 * the whole transaction. Nothing where options.marks is not set. */
bool marks_send(struct pipeline *pipeline, struct batch *batch, struct err *err);

/* ---- verdicts.c ---------------------------------------------------------------------------- */

/* Judges the batch's events in [judged, last), behind all that come before them. The handler for
 * which they open the breaker, which waits from now on: none of its events in the batch may be
 * committed. -1: none. */
int verdicts_judge(struct pipeline *pipeline, struct batch *batch, size_t last);
/* After the commit: the batch's verdicts count from now on. */
void verdicts_enter(struct pipeline *pipeline, const struct batch *batch);

/* ---- holding.c ----------------------------------------------------------------------------- */

/* A handler's topics wait from now on; says so where they did not before. */
void holding_begin(struct pipeline *pipeline, size_t handler, enum wait_cause cause,
                   const char *reason);
/* Events of the handler were committed: its topics may have ended to wait. */
void holding_settle(struct pipeline *pipeline, size_t handler);
/* Whether the partition is not to be fetched for now. */
bool holding_holds(const struct pipeline *pipeline, const struct partition *partition);

/* ---- commit.c ------------------------------------------------------------------------------ */

/* Sends the whole transaction without waiting for it; nothing where that opens the breaker. */
bool commit_begin(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Moves it on without blocking. PG_FAILED with ERR_INPUT: a row was refused, bisect. */
enum pg_progress commit_progress(struct pipeline *pipeline, struct err *err);
/* Waits for the transaction under way to end, at most until its deadline. */
bool commit_wait(struct pipeline *pipeline, struct err *err);
/* After the commit: caches, Redis' memory, metrics; empties the batch. */
void commit_finish(struct pipeline *pipeline, struct batch *batch);
/* Begin, wait, bisect where rows are refused: committed, but for commit_finish. */
bool commit_settle(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Settle and finish. */
bool commit_batch(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Finds the events of which nothing stands in the merged rows. */
void commit_mark_superseded(struct batch *batch);
bool commit_send_plain(struct pipeline *pipeline, const char *sql, struct err *err);
/* Notes the COMMIT's tag and the rows written; context is the pipeline. */
bool commit_note(void *context, size_t index, PGresult *result, struct err *err);
/* Queues what the transaction does beside the rows: offsets, or the retried rejections. */
bool commit_send_position(struct pipeline *pipeline, const struct batch *batch, struct err *err);

/* ---- encode.c ------------------------------------------------------------------------------ */

/* Encodes the batch's rows, unless that is done. */
void encode_rows(struct batch *batch);
/* The rows have changed, or will. */
void encode_forget(struct batch *batch);
/* Queues the upserts of the batch's rows, table by table. */
bool encode_send(struct pipeline *pipeline, struct batch *batch, struct err *err);
void encode_free(struct encoded *encoded);

/* ---- bisect.c ------------------------------------------------------------------------------ */

/* The same transaction, statement by statement, rejecting the events that the database refuses. */
bool bisect_batch(struct pipeline *pipeline, struct batch *batch, struct err *err);

/* ---- seen.c: the memory of event ids in Redis ----------------------------------------------- */

void seen_lookup(struct pipeline *pipeline, struct event *events, size_t count);
/* After the commit, once it was noted: begins to mark the batch's events and to announce what the
 * caches must forget. The batch is not needed any longer. */
void seen_mark(struct pipeline *pipeline, struct batch *batch);
/* Goes on with both, without waiting. */
void seen_progress(struct pipeline *pipeline);
/* Waits for what is under way; what could not be announced has a last chance. */
void seen_close(struct pipeline *pipeline);

#endif
