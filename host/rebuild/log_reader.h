/* log_reader: reads the topics of all handlers from Kafka's log, up to a bound for each partition,
 * without being a member of any group and without moving any offset. One thread.
 *
 * Used by rebuild (everything, up to where the live view stands), by explain, by the canary (the
 * last part), and by tap (from now on, without a bound). */
#ifndef AGG_HOST_REBUILD_LOG_READER_H
#define AGG_HOST_REBUILD_LOG_READER_H

#include "config/config.h"
#include "bindings/kafka_consumer.h"
#include "pipeline/pipeline.h"
#include "script/script.h"

struct log_partition {
    char *topic;
    int32_t number;
    int handler;      /* of the generation */
    int64_t low;      /* the first offset that Kafka still has */
    int64_t high;     /* behind the last one, when it was last asked */
    int64_t start;    /* where reading began */
    int64_t position; /* what comes next */
    int64_t until;    /* reading stops in front of it */
    /* Records are missing (by retention or compaction) that were older than this broker time;
     * 0: none; INT64_MAX: none is left that could tell. */
    int64_t missing_before_us;
    /* private */
    bool gap; /* records are missing in front of position: the next one dates them */
    bool paused;
    struct kafka_message held; /* the first one from `until` on; owner NULL: none */
};

struct log_reader {
    struct kafka_consumer *kafka;
    struct log_partition *partitions; /* by topic, then number */
    size_t count;
    size_t unfinished; /* partitions that are not at their bound */
};

/* Connects, and asks for the partitions and their bounds: until = high. False: log_reader_close is
 * still to be called. A declared topic that Kafka does not have is left out. */
bool log_reader_open(struct log_reader *reader, const struct config *config,
                     const struct script_generation *generation, struct err *err);
void log_reader_close(struct log_reader *reader);

/* Starts at the first record since that broker time (microseconds), or of all: since_us < 0. */
bool log_reader_start(struct log_reader *reader, int64_t since_us, struct err *err);
/* Instead: each partition at its `start`, which the caller has set. */
bool log_reader_start_there(struct log_reader *reader, struct err *err);
/* Leaves only the partitions of these topics, before the start. */
void log_reader_keep(struct log_reader *reader, const char *const *topics, size_t count);
/* Instead of log_reader_start: from the first record, or from what comes next, and past the end
 * without a bound. */
bool log_reader_follow(struct log_reader *reader, bool from_beginning, struct err *err);
/* Asks Kafka again for one partition's bounds. */
bool log_reader_ask_bounds(struct log_reader *reader, struct log_partition *partition,
                           struct err *err);
/* Moves a partition's bound forward. */
bool log_reader_extend(struct log_reader *reader, struct log_partition *partition, int64_t until,
                       struct err *err);

/* The next record, to be released by kafka_message_release; its partition is an index of the
 * reader's. False without an error: none came within timeout_ms, or all partitions are at their
 * bounds (unfinished is 0). */
bool log_reader_next(struct log_reader *reader, int timeout_ms, struct log_record *message,
                     struct err *err);

/* Adds its partitions, in order, to a pipeline's that has none: a record's index is the same. */
void log_reader_add_partitions(const struct log_reader *reader, struct partitions *partitions);

/* Records read, and to be read, since the start (an estimate where offsets have gaps). */
void log_reader_count(const struct log_reader *reader, int64_t *done, int64_t *total);
/* The latest missing_before_us of all partitions; 0: the log is whole. */
int64_t log_reader_missing_before_us(const struct log_reader *reader);

#endif
