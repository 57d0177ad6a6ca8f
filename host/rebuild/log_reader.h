/* log_reader: reads the topics of all handlers, or named ones, from Kafka's log, up to a bound for
 * each partition, outside any consumer group. One thread. Used by rebuild (up to the live view),
 * explain, the shadow run (the newest records) and tap (without a bound). */
#pragma once

#include "config/config.h"
#include "bindings/kafka_consumer.h"
#include "pipeline/pipeline.h"
#include "script/script.h"

struct log_partition {
    char *topic;
    int32_t number;
    int handler;      /* index in the generation; -1: none declares the topic */
    int64_t low;      /* the first offset in Kafka */
    int64_t high;     /* after the last one, at the last query */
    int64_t start;    /* where reading began */
    int64_t position; /* the next offset */
    int64_t until;    /* the bound: reading stops before it */
    /* Records older than this broker time are missing (retention, compaction); 0: none; INT64_MAX:
     * nothing dates them. */
    int64_t missing_before_us;
    /* private */
    bool gap; /* records are missing before position; the next one dates them */
    bool paused;
    struct kafka_message held; /* the first one from `until` on; owner NULL: none */
};

struct log_reader {
    struct kafka_consumer *kafka;
    struct log_partition *partitions; /* by topic, then number */
    size_t count;
    size_t unfinished; /* partitions before their bound */
};

/* Connects, and queries the partitions and their bounds: until = high. Skips declared topics that
 * Kafka does not have. False: log_reader_close is still to be called. */
bool log_reader_open(struct log_reader *reader, const struct config *config,
                     const struct script_generation *generation, struct err *err);
/* The same for these topics, whether a handler declares them or not; count 0: as log_reader_open.
 */
bool log_reader_open_topics(struct log_reader *reader, const struct config *config,
                            const struct script_generation *generation, const char *const *topics,
                            size_t count, struct err *err);
void log_reader_close(struct log_reader *reader);

/* Starts at the first record since that broker time (microseconds); since_us < 0: of all. */
bool log_reader_start(struct log_reader *reader, int64_t since_us, struct err *err);
/* Or: each partition at `start`, which the caller has set, as `until` where there is no bound
 * (INT64_MAX). */
bool log_reader_start_at(struct log_reader *reader, struct err *err);
/* Queries one partition's bounds again. */
bool log_reader_ask_bounds(struct log_reader *reader, struct log_partition *partition,
                           struct err *err);
/* Moves a partition's bound forward. */
bool log_reader_extend(struct log_reader *reader, struct log_partition *partition, int64_t until,
                       struct err *err);

/* The next record; release it by kafka_message_release; its partition is the reader's index. False
 * without an error: none came within timeout_ms, or unfinished is 0. */
bool log_reader_next(struct log_reader *reader, int timeout_ms, struct log_record *record,
                     struct err *err);

/* Adds its partitions to those of a pipeline that has none: indexes are the same. */
void log_reader_add_partitions(const struct log_reader *reader, struct partitions *partitions);

/* Records read since the start, and the total (an estimate if offsets have gaps). */
void log_reader_count(const struct log_reader *reader, int64_t *done, int64_t *total);
/* Where reading waits: the first partition before its bound; NULL: none. */
const struct log_partition *log_reader_waits_for(const struct log_reader *reader);
/* Sets err: Kafka has sent nothing for so long, and where reading waits. Returns false. */
bool log_reader_fail_silent(const struct log_reader *reader, int silent_s, struct err *err);
/* The latest missing_before_us of all partitions; 0: the log is whole. */
int64_t log_reader_missing_before_us(const struct log_reader *reader);
