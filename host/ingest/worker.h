/* worker: private state of one ingest thread, which owns a consumer of the group and a pipeline.
 *
 * Postgres commits the batch `inflight` while `filling` is read, parsed and merged. After a switch
 * of scripts the batch that the old ones handled is `retiring`; it is committed next. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "pipeline/batch.h"
#include "bindings/kafka_consumer.h"
#include "pipeline/pipeline.h"

#define WORKER_BATCHES 3

struct worker_status {
    pthread_mutex_t lock;  /* guards the others */
    char text[512];        /* what the worker waits for and why; "": nothing */
    const char *kafka;     /* static: why the Kafka client cannot read; NULL: it can */
    struct buffer waiting; /* JSON objects of the first waiting topics, comma-separated */
    size_t waiting_total;  /* number of all */
};

/* A declared topic to which Kafka refuses access. */
struct refused_topic {
    char *name; /* owned */
    const char *reason;
    int64_t since_wall_us;
};

/* kafka_trouble.c */
struct client_trouble {
    struct kafka_error error; /* of the whole client; KAFKA_ERROR_NONE: none */
    struct refused_topic *topics;
    size_t topic_count;
    size_t partitions; /* partitions in trouble */
};

struct worker_scripts {
    struct script_generation *generation; /* a reference */
    struct script_instance *instance;
};

/* Hands new scripts to a worker and the old ones back. The offering thread frees the old ones, so
 * that the worker does not spend time on it. */
struct script_switch {
    pthread_mutex_t lock; /* guards all but is_offered */
    pthread_cond_t done;
    _Atomic bool is_offered;
    struct worker_scripts next;
    struct worker_scripts old;
};

/* kafka_offsets.c */
struct kafka_offsets {
    bool is_under_way;
    bool is_refused; /* the last report was */
    int64_t at_us;   /* time of the next report */
};

/* lag.c */
struct lag_topic {
    char *name;                                       /* owned */
    struct metric_cell *partitions;                   /* how many the worker has */
    struct metric_cell *cells[PARTITION_LAG_FIGURES]; /* NULL: its partitions have their own */
    double count;
    double values[PARTITION_LAG_FIGURES];
};

struct lag {
    bool by_partition; /* else by topic */
    struct lag_topic *topics;
    size_t topic_count;
    bool rests;         /* no record waited at the last measurement */
    uint64_t at_events; /* the client's, then */
};

/* Why the worker needs a new Kafka client. */
enum reopen_reason {
    REOPEN_NONE,
    REOPEN_FATAL,
    REOPEN_FENCED,
    REOPEN_MOVED,
    REOPEN_STALLED,
    REOPEN_UNASSIGNED,
    REOPEN_TOPICS,
    REOPEN_FILES,
};

struct reopen {
    enum reopen_reason reason; /* REOPEN_NONE: no new client is due */
    int64_t at_us;             /* time of the replacement */
    int tries;                 /* clients that were replaced soon after opening */
    int64_t opened_us;
    int64_t unassigned_since_us; /* 0: the group assigned the worker's partitions */
    int64_t look_at_us;
};

/* coordinator.c */
struct coordinator {
    struct kafka_broker *brokers; /* from the last metadata */
    size_t count;
    char failed[264]; /* the coordinator's address that the client cannot reach; "": none */
};

struct worker {
    int number;
    const struct config *config;
    struct pipeline pipeline;
    struct kafka_consumer *kafka; /* NULL: none is open */
    int wake_fd;                  /* eventfd: stop, resume or new scripts */
    struct batch batches[WORKER_BATCHES];
    struct batch *filling;
    struct batch *retiring;   /* handled by old scripts, committed next; NULL: none */
    struct batch *inflight;   /* NULL: no open transaction */
    bool has_assignment;      /* the group assigned the pipeline's partitions, maybe none */
    bool must_load_offsets;   /* nothing is fetched before the offsets are read */
    size_t unplaced;          /* partitions without a start offset: not fetched */
    int64_t unplaced_wait_us; /* until Kafka is asked again; 0: all are placed */
    struct client_trouble trouble;
    int64_t ends_received;  /* number of partition ends that Kafka returned */
    uint64_t client_events; /* records, ends and errors that the client returned */
    struct lag lag;
    struct reopen reopen;
    struct coordinator coordinator;
    bool logged_repeated; /* the log has that records below the offset came */
    int64_t retry_at_us;
    int failures;            /* consecutive, for the back-off */
    char logged_sqlstate[6]; /* of the last logged failure */
    struct kafka_offsets kafka_offsets;
    int64_t active_at_us; /* when it had records, or the group changed, last */
    int64_t beat_at_us;
    int64_t measure_at_us;
    int64_t check_at_us;
    int64_t stall_look_at_us;
    int64_t trouble_look_at_us;
    bool had_backlog;        /* since the last malloc_trim */
    int64_t paused_since_us; /* takes no records until the switch of scripts; 0: not paused */
    struct metric_cell *errors, *deleted, *stalls, *database_up, *breaker_open;
    /* ---- shared with other threads ---- */
    struct worker_status status;
    struct script_switch script_switch;
    _Atomic bool stopping;
    _Atomic bool held;       /* stays out of the group */
    _Atomic bool subscribed; /* the client is or becomes a member of the group */
    _Atomic bool joined;     /* the group has assigned partitions to it, maybe none */
    _Atomic bool resume;     /* retry all waiting topics and close breakers */
    _Atomic bool database_ready;
    _Atomic bool assigned;
    _Atomic int waiting_handlers; /* in trouble */
    _Atomic int opened_handlers;  /* with an open breaker */
    _Atomic int unreadable;       /* partitions and topics that Kafka does not return */
    _Atomic bool has_outdated;    /* some batch belongs to replaced scripts */
};

/* ---- consumer.c ---------------------------------------------------------------------------- */
bool consumer_open(struct worker *worker, struct err *err);
/* Subscribes to the topics of the pipeline's scripts, unless the worker is held. */
bool consumer_subscribe(struct worker *worker, struct err *err);
void consumer_close(struct worker *worker);
/* Takes records up to the limits of batch and turn (none without may_take) and handles events up to
 * the turn's time. True: nothing is left. */
bool consumer_fill(struct worker *worker, bool may_take);
/* The worker's partitions in their order, with offsets 0; the caller frees them. */
struct kafka_place *consumer_places(const struct worker *worker);
bool consumer_is_fetching(const struct worker *worker);
/* Drops all batches and stops fetching until the offsets are re-read. */
void consumer_restart(struct worker *worker);

/* ---- kafka_offsets.c: reports committed offsets to Kafka, for lag tools only ----------------- */
void kafka_offsets_turn(struct worker *worker);
/* Before partitions are revoked. Waits at most a second for the reply. */
void kafka_offsets_report_last(struct worker *worker);
/* After a rebalance: delays the next report. */
void kafka_offsets_pause(struct worker *worker);

/* ---- reopen.c: replaces the Kafka client, at a bounded rate ---------------------------------- */
void reopen_ask(struct worker *worker, enum reopen_reason reason);
/* The same if the client has a fatal error. */
void reopen_ask_failed(struct worker *worker);
/* Looks for silent failures and replaces the client when due. Blocks for a second if the
 * coordinator is unreachable, and for some seconds to leave the group. */
void reopen_turn(struct worker *worker);
void reopen_note_opened(struct worker *worker);
/* After a rebalance; come: partitions were assigned, else revoked. */
void reopen_note_assignment(struct worker *worker, bool come);

/* ---- coordinator.c: a group coordinator under a new address ---------------------------------- */
/* reason: the text of a client error. */
void coordinator_note_error(struct worker *worker, const char *reason);
/* Asks Kafka, for at most a second, if the coordinator is unreachable. */
bool coordinator_has_moved(struct worker *worker);
void coordinator_forget(struct worker *worker);

/* ---- fetch_start.c: start offsets of an assignment ------------------------------------------- */
/* Reads the offsets from Postgres, logs and moves those that the log lacks, and starts fetching.
 * Blocks for Kafka for some seconds. */
bool fetch_start(struct worker *worker, struct err *err);
/* Fetches all partitions that are placed and do not wait. */
bool fetch_assign(struct worker *worker, struct err *err);

/* ---- kafka_trouble.c: partitions, topics and clients that Kafka does not serve --------------- */

/* The client returned an error instead of a record. Holds the partition, if it is known. */
void trouble_note_message(struct worker *worker, struct partition *partition,
                          const struct kafka_message *message);
/* An error of the client as a whole, or of its group. */
void trouble_note_client(struct worker *worker, const struct kafka_error *error,
                         const char *detail);
/* The client works: the group assigned partitions, or the partition could be read. */
void trouble_end_client(struct worker *worker);
void trouble_end_partition(struct worker *worker, struct partition *partition);
void trouble_forget_partitions(struct worker *worker);
void trouble_forget_topics(struct worker *worker);
/* Fetches the partitions again whose time has come. */
void trouble_retry(struct worker *worker, int64_t now_us);
/* Asks Kafka whether trouble has ended that ends without a sign. Blocks for at most a second. */
void trouble_look(struct worker *worker);
/* Appends the first comma-separated JSON objects, at most `most`; returns the number of all. */
int trouble_append(const struct worker *worker, size_t most, struct buffer *json);
bool trouble_has_topic(const struct worker *worker, const char *topic);

/* ---- waiting_topics.c: topics that wait ------------------------------------------------------ */
/* Retries those that are due, updates the fetched partitions and publishes the status. */
void waiting_turn(struct worker *worker);
/* Ends all waits. */
void waiting_forget(struct worker *worker);
/* Retries all now and accepts the rejections of open breakers. */
void waiting_resume(struct worker *worker);

/* ---- lag.c ----------------------------------------------------------------------------------- */
/* Sets the lag metrics. Blocks for Kafka for at most a second if not everything is fetched. False:
 * Kafka did not reply. */
bool lag_measure(struct worker *worker);
/* Asks Kafka for the ends of the partitions; blocks for at most a second. */
void lag_ask_ends(struct worker *worker);
/* Removes the metrics of the worker's partitions before they are revoked. */
void lag_forget(struct worker *worker);

/* ---- stall.c --------------------------------------------------------------------------------- */
/* Restarts fetching if records wait in Kafka that the client does not fetch. Call it when all
 * fetched records are taken. */
void stall_look(struct worker *worker);

/* ---- rebalance.c ----------------------------------------------------------------------------- */
/* Callback of kafka_consumer_next and kafka_consumer_leave. */
void rebalance(void *worker, const struct kafka_rebalance *rebalance);
/* Drops the assignment. */
void rebalance_forget(struct worker *worker);
/* Drops all batches and disconnects an open transaction: the offsets show its outcome. */
void rebalance_drop_batches(struct worker *worker);

/* ---- script_switch.c ------------------------------------------------------------------------- */
/* Any thread: offers scripts. Returns an earlier offer that was not taken. */
struct worker_scripts script_switch_offer(struct worker *worker, struct worker_scripts scripts);
/* Any thread: waits until the worker took the offer; deadline: monotonic. Fills *old with scripts
 * that the caller frees. False: timed out. */
bool script_switch_wait(struct worker *worker, int64_t deadline_us, struct worker_scripts *old);
/* The worker: takes the offer if it can. False: it must take no records before. */
bool script_switch_turn(struct worker *worker);
/* True: the next script_switch_turn takes the offer. */
bool script_switch_is_due(const struct worker *worker);
void worker_scripts_free(struct worker_scripts *scripts);

/* ---- hold.c ---------------------------------------------------------------------------------- */
/* Leaves the group if the worker is held, and joins it if it is no more. */
void hold_turn(struct worker *worker);

/* ---- outage_backoff.c ------------------------------------------------------------------------ */
/* The database or the script state failed: drops the batches and the connection, and retries after
 * a time that doubles with each failure. */
void outage_fail(struct worker *worker, const struct err *err);
/* The same after another process moved the offsets. */
void outage_offsets_moved(struct worker *worker, const char *detail);
/* After a commit: raises a lowered batch limit. */
void outage_grow_batches(struct pipeline *pipeline);

/* ---- worker.c -------------------------------------------------------------------------------- */
struct batch *worker_spare_batch(struct worker *worker);
/* Ends the open transaction. */
void worker_drain(struct worker *worker);
void *worker_main(void *worker);
/* Sets the text for readiness; "": the worker waits for nothing. */
void worker_set_status(struct worker *worker, const char *text);
