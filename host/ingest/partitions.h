/* partitions: what a pipeline reads from, and where each goes on. One owner thread. */
#ifndef AGG_HOST_INGEST_PARTITIONS_H
#define AGG_HOST_INGEST_PARTITIONS_H

#include <stddef.h>
#include <stdint.h>

struct partition {
    char *topic; /* owned */
    int32_t number;
    int handler;          /* of the pipeline's generation; -1: none declares the topic */
    int64_t next_offset;  /* what the database holds after the batches under way; -1: never seen */
    int64_t fresh_offset; /* below it a replay reads: Redis' memory of seen events is passed by */
    int64_t broker_time_us; /* of the newest message taken, for lag */
};

struct partitions {
    struct partition *items;
    size_t count;
    size_t last; /* found last: messages come in runs */
};

#define PARTITION_NONE SIZE_MAX

/* The index of the partition, or PARTITION_NONE. */
size_t partitions_find(struct partitions *partitions, const char *topic, int32_t number);
/* Adds one with next_offset -1 and no handler; its index. Not twice the same. */
size_t partitions_add(struct partitions *partitions, const char *topic, int32_t number);
void partitions_clear(struct partitions *partitions);

#endif
