/* worker: the private state of one ingest thread: a consumer of the group and a pipeline.
 * Everything here belongs to that thread, but for the fields at the end.
 *
 * Two batches: `inflight` is being committed by Postgres, `filling` is being read, parsed and
 * merged meanwhile. Where other scripts come in between, what the old ones have handled is set
 * aside, and committed before the new ones' first batch. */
#ifndef AGG_HOST_INGEST_WORKER_H
#define AGG_HOST_INGEST_WORKER_H

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
    char text[512];        /* what it waits for and why; "": neither a database nor a state */
    const char *kafka;     /* static: what keeps its Kafka client from reading; NULL: nothing */
    struct buffer waiting; /* the JSON objects of topics that wait, with commas; empty: none */
};

/* A declared topic that Kafka does not let the group read. */
struct refused_topic {
    char *name; /* owned */
    const char *reason;
    int64_t since_wall_us;
};

/* What keeps records from coming that is no single partition's: kafka_trouble.c. */
struct client_trouble {
    struct kafka_error error; /* of the client as a whole; KAFKA_ERROR_NONE: none */
    struct refused_topic *topics;
    size_t topic_count;
    size_t partitions; /* how many of the worker's partitions are in trouble */
};

/* Other scripts, on their way to the worker or back from it. */
struct worker_scripts {
    struct script_generation *generation; /* a reference */
    struct script_instance *instance;
};

/* Where a worker is given other scripts. Whoever gives them takes the old ones, to destroy them
 * where nobody waits. */
struct script_switch {
    pthread_mutex_t lock; /* guards all but is_there */
    pthread_cond_t done;
    _Atomic bool is_offered; /* looked at every turn */
    struct worker_scripts next;
    struct worker_scripts old;
};

/* What Kafka is told for lag tools: report.c. */
struct kafka_offsets {
    bool is_under_way;
    bool is_refused; /* the last one was */
    int64_t at_us;   /* not before */
};

/* Why the worker is to have another Kafka client. */
enum reopen_reason {
    REOPEN_NONE,
    REOPEN_FATAL,
    REOPEN_FENCED,
    REOPEN_MOVED,
    REOPEN_STALLED,
    REOPEN_UNASSIGNED,
    REOPEN_TOPICS,
    REOPEN_CREDENTIALS,
};

struct reopen {
    enum reopen_reason reason; /* another client is due */
    int64_t at_us;             /* not before */
    int tries;                 /* clients that were replaced soon after they were opened */
    int64_t opened_us;
    int64_t unassigned_since_us; /* 0: the group has given the worker its partitions */
    int64_t look_at_us;
};

/* Whether the coordinator has moved: coordinator.c. */
struct coordinator {
    struct kafka_broker *brokers; /* as the cluster named them last */
    size_t count;
    char failed[264]; /* the coordinator's address that could not be reached lately; "": none */
};

struct worker {
    int number;
    const struct config *config;
    struct pipeline pipeline;
    struct kafka_consumer *kafka; /* NULL: none is open */
    int wake_fd;                  /* eventfd: something was asked for (stop, resume) */
    struct batch batches[WORKER_BATCHES];
    struct batch *filling;
    struct batch *retiring; /* handled by old scripts, and committed next; NULL: none */
    struct batch *inflight; /* NULL: no transaction under way */
    bool has_assignment;    /* of the group: the pipeline's partitions, which may be none */
    bool must_load_offsets; /* the assignment is not being fetched until offsets are read */
    size_t unplaced; /* partitions that are not fetched: where they go on cannot be said yet */
    int64_t unplaced_wait_us; /* until Kafka is asked again; 0: all are settled */
    struct client_trouble trouble;
    int64_t ends_received; /* how often Kafka has said where a partition ends */
    struct reopen reopen;
    struct coordinator coordinator;
    bool logged_repeated; /* it was logged that records came below an offset */
    int64_t retry_at_us;
    int failures;            /* in a row, for the back-off */
    char logged_sqlstate[6]; /* of the last failure in the log */
    struct kafka_offsets kafka_offsets;
    int64_t measure_at_us;
    int64_t check_at_us;
    int64_t look_at_us; /* for stalled partitions */
    int64_t trouble_look_at_us;
    bool had_backlog; /* since memory was last given back */
    int64_t
        paused_since_us; /* no more records are taken, so that other scripts can be; 0: they are */
    struct metric_cell *errors, *deleted, *stalls, *database_up, *breaker_open;
    /* ---- other threads' too ---- */
    struct worker_status status;
    struct script_switch script_switch;
    _Atomic bool stopping;
    _Atomic bool resume; /* what waits shall be tried now, and breakers close */
    _Atomic bool database_ready;
    _Atomic bool assigned;
    _Atomic int waiting_handlers; /* because of trouble */
    _Atomic int opened_handlers;  /* those of them whose breaker is open */
    _Atomic int unreadable;       /* partitions and topics that Kafka does not give */
    _Atomic bool has_outdated;    /* a batch of scripts that were replaced */
};

/* consumer.c: the Kafka side */
bool consumer_open(struct worker *worker, struct err *err);
/* Follows the topics of the pipeline's scripts. */
bool consumer_subscribe(struct worker *worker, struct err *err);
void consumer_close(struct worker *worker);
/* Takes what the consumer has, up to the bounds of the batch and of the turn, and handles as much
 * of it as a turn's time allows. Where it may not take, it handles only. True when nothing is left.
 */
bool consumer_fill(struct worker *worker, bool may_take);
/* A place of each of the worker's partitions, in their order, offsets 0; to be freed. */
struct kafka_place *consumer_places(const struct worker *worker);
/* Whether the client is to fetch what it was assigned. */
bool consumer_is_fetching(const struct worker *worker);
/* Forgets all batches and stops fetching until the offsets are read again. */
void consumer_restart(struct worker *worker);
/* report.c: tells Kafka where the partitions stand, for lag tools only; at every turn. */
void kafka_offsets_turn(struct worker *worker);
/* Before the partitions are given away: waits for the answer, a second at most. */
void kafka_offsets_report_last(struct worker *worker);
/* After partitions have come or gone: not at once. */
void kafka_offsets_pause(struct worker *worker);

/* reopen.c: another Kafka client is opened, soon, at a bounded rate. */
void reopen_ask(struct worker *worker, enum reopen_reason reason);
/* The same where the client says that it will never work again. */
void reopen_ask_failed(struct worker *worker);
/* At every turn: looks whether the client has failed without a word, and opens another where one is
 * due. Waits for Kafka for a second where the coordinator is away, and some seconds to leave the
 * group. */
void reopen_turn(struct worker *worker);
void reopen_note_opened(struct worker *worker);
/* Partitions have come, or gone. */
void reopen_note_assignment(struct worker *worker, bool come);

/* coordinator.c: an error of the client, as it words it: perhaps its coordinator does not answer.
 */
void coordinator_note_error(struct worker *worker, const char *reason);
/* Whether the coordinator that does not answer has another address. Waits for Kafka for a second
 * where there is one. */
bool coordinator_has_moved(struct worker *worker);
void coordinator_forget(struct worker *worker);

/* fetch_start.c: reads the offsets of the assignment from Postgres, moves those that the log does
 * not have (saying so), and starts fetching. Waits for Kafka for some seconds. */
bool fetch_start(struct worker *worker, struct err *err);

/* Has the client fetch all partitions but those that cannot be settled yet or are held, from where
 * they stand. */
bool fetch_assign(struct worker *worker, struct err *err);

/* kafka_trouble.c: what keeps records from coming from Kafka. Each is logged once, shows in
 * `waiting` or as the reason of /readyz, and is tried again by itself. */
/* Kafka's client has said an error instead of a record. Wherever its partition is known, that one
 * is left alone for a while, and the others go on. */
void trouble_note_message(struct worker *worker, struct partition *partition,
                          const struct kafka_message *message);
struct trouble_news {
    const char *reason; /* static, in words for a caller without a key */
    const char *detail; /* for the log; NULL: none */
    int64_t offset;     /* of what cannot be read */
};
/* The same for a reason that the worker itself has found. */
void trouble_hold(struct worker *worker, struct partition *partition,
                  const struct trouble_news *news);
/* An error of the client as a whole, or of its group. */
void trouble_note_client(struct worker *worker, const struct kafka_error *error,
                         const char *detail);
/* Something of the partition could be read. */
void trouble_note_good(struct worker *worker, struct partition *partition);
/* The group has given partitions. */
void trouble_note_assigned(struct worker *worker);
/* The partitions are given away. */
void trouble_forget_partitions(struct worker *worker);
/* The topics that are followed have changed. */
void trouble_forget_topics(struct worker *worker);
/* At every turn: partitions that are due are fetched again. */
void trouble_turn(struct worker *worker);
/* All are fetched now. */
void trouble_retry(struct worker *worker);
/* Now and then: asks Kafka whether what it gives no sign of is over. Waits for it for a second, and
 * only where there is trouble. */
void trouble_look(struct worker *worker);
/* Appends the JSON objects, with commas; how many there are. */
int trouble_append(const struct worker *worker, struct buffer *json);
bool trouble_has_topic(const struct worker *worker, const char *topic);

/* waiting_topics.c: handlers that wait, at every turn: those that are due are tried, the client is
 * told which partitions to fetch, and the state is published. */
void waiting_turn(struct worker *worker);
/* Nothing waits any longer, and others are told. */
void waiting_forget(struct worker *worker);
/* All that wait are tried now; what breakers have stopped is accepted. */
void waiting_resume(struct worker *worker);

/* lag.c: how far behind each partition is, as metrics. Waits for Kafka for a second at most where
 * not all is fetched. False: Kafka was asked, and has not answered. */
bool lag_measure(struct worker *worker);
/* Asks Kafka itself where the partitions of the assignment end; waits for it for a second. */
void lag_ask_ends(struct worker *worker);
/* The partitions are given away: how far behind they are is for their next owner to say. */
void lag_forget(struct worker *worker);

/* stall.c: looks whether records wait that the client does not fetch, and then has it start again.
 * To be called now and then, when everything that was fetched has been taken. */
void stall_look(struct worker *worker);

/* rebalance.c: who owns which partitions. Runs inside kafka_consumer_next and _leave. */
void rebalance(void *worker, const struct kafka_rebalance *rebalance);
/* The worker has no partitions. */
void rebalance_forget(struct worker *worker);
/* Forgets all batches; a transaction under way is cut off: the offsets will say how it ended. */
void rebalance_drop_batches(struct worker *worker);

/* script_switch.c: other scripts. Any thread: gives them; what comes back was given before and not
 * taken (absent: NULL). */
struct worker_scripts script_switch_offer(struct worker *worker, struct worker_scripts scripts);
/* Any thread: waits until the worker has taken what was offered, at most until the deadline of the
 * monotonic clock; true: *old is what it had, the caller's to free. */
bool script_switch_wait(struct worker *worker, int64_t deadline_us, struct worker_scripts *old);
/* The worker, at every turn: takes what was offered, if it can be taken; false where no more
 * records may be taken before. */
bool script_switch_turn(struct worker *worker);
/* True where the next turn would take scripts. */
bool script_switch_is_due(const struct worker *worker);
void worker_scripts_free(struct worker_scripts *scripts);

/* outage_backoff.c: both drop the batches and the connection; the next try is after a time that
 * doubles with each failure. The database, or the script state, has failed: */
void outage_fail(struct worker *worker, const struct err *err);
/* Somebody has moved the offsets: */
void outage_offsets_moved(struct worker *worker, const char *detail);
/* A batch was committed: those that follow may be larger. */
void outage_grow_batches(struct pipeline *pipeline);

/* worker.c */
/* One that is neither filling, set aside nor under way. */
struct batch *worker_spare_batch(struct worker *worker);
void *worker_main(void *worker);
/* What it waits for besides Kafka; an empty text says that it waits for nothing. */
void worker_set_status(struct worker *worker, const char *text);

#endif
