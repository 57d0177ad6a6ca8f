/* partitions: the partitions of a pipeline and their offsets. One owner thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A partition that cannot be read: Kafka refuses access, or a batch of records is damaged. */
struct partition_trouble {
    const char *reason; /* static; NULL: no trouble */
    int64_t offset;     /* of the unreadable record */
    int64_t since_wall_us;
    int64_t retry_at_us; /* not fetched until then; 0: fetched */
    int tries;           /* failed attempts */
};

struct metric_cell;

/* Of ingest/lag.c. */
#define PARTITION_LAG_FIGURES 3
struct partition_lag {
    struct metric_cell *cells[PARTITION_LAG_FIGURES]; /* NULL: its topic has them */
    size_t topic; /* number among the worker's topics, from 1; 0: not looked up */
};

struct partition {
    char *topic; /* owned */
    int32_t number;
    int handler;              /* in the pipeline's generation; -1: none declares the topic */
    int64_t next_offset;      /* of the next record to take; -1: not loaded */
    int64_t committed_offset; /* in the database; -1: not loaded */
    char *position;           /* owned: its cache_position's name; NULL: not loaded */
    int64_t counted;          /* events that its commits counted; -1: not loaded */
    int64_t
        committed_time_us;   /* the broker's time of the record before committed_offset; 0: none */
    int64_t reported_offset; /* last reported to Kafka for lag tools; -1: none */
    int64_t
        probe_offset; /* of that record while it is re-read to recognise the log; -1: no probe */
    int64_t fresh_offset;   /* a replay ends there; below it processed ids are not looked up */
    int64_t passed_offset;  /* behind the last record that was committed; a replay is below it */
    int64_t broker_time_us; /* of the newest record taken, for lag */
    int64_t high_offset;    /* Kafka's high watermark; -1: unknown */
    int64_t end_offset;     /* where reading last reached the end; -1: not yet */
    int64_t stalled_offset; /* next_offset at the last check, if records were waiting; -1: none */
    struct partition_trouble trouble;
    struct partition_lag lag;
    bool end_known;    /* Kafka replied to the last query of high_offset */
    int stalls;        /* consecutive checks that found it stalled */
    bool contradicted; /* the log does not have our offset, or is another log */
};

struct partitions {
    struct partition *items;
    size_t count;
    size_t capacity;
    uint32_t *slots;   /* by hash, open addressing: indices of items */
    size_t slot_count; /* a power of two */
    size_t slots_used; /* by items, or by those that were removed */
    size_t last;       /* found last: records come in runs */
};

#define PARTITION_NONE SIZE_MAX

/* The index of the partition, or PARTITION_NONE. */
size_t partitions_find(struct partitions *partitions, const char *topic, int32_t number);
/* Adds a new partition with next_offset -1 and no handler; returns its index. */
size_t partitions_add(struct partitions *partitions, const char *topic, int32_t number);
/* Removes one if present: other indices change. */
void partitions_remove(struct partitions *partitions, const char *topic, int32_t number);
/* Resets each to the state after partitions_add. */
void partitions_reset(struct partitions *partitions);
void partitions_clear(struct partitions *partitions);
