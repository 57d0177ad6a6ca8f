/* partitions: what a pipeline reads from, and where each goes on. One owner thread. */
#ifndef AGG_HOST_PIPELINE_PARTITIONS_H
#define AGG_HOST_PIPELINE_PARTITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What keeps a partition's records from coming: Kafka refuses them, or they cannot be unpacked. */
struct partition_trouble {
    const char *reason; /* static; NULL: nothing */
    int64_t offset;     /* of what could not be read */
    int64_t since_wall_us;
    int64_t retry_at_us; /* it is not fetched until then; 0: it is */
    int tries;           /* that failed */
};

struct partition {
    char *topic; /* owned */
    int32_t number;
    int handler;         /* of the pipeline's generation; -1: none declares the topic */
    int64_t next_offset; /* what the database holds after the batches under way; -1: never read */
    int64_t committed_offset;  /* what it holds */
    char *position;            /* owned: its name among cache positions; NULL: never read */
    int64_t counted;           /* events that its commits have counted; -1: never read */
    int64_t committed_time_us; /* the broker's, of the record in front of it; 0: not known */
    int64_t reported_offset;   /* what Kafka was told for lag tools; -1: nothing */
    int64_t probe_offset;      /* of that record, while it is read to see whether it is the same;
                                  -1: not, or not any more */
    int64_t fresh_offset;   /* below it a replay reads: Redis' memory of seen events is passed by */
    int64_t broker_time_us; /* of the newest message taken, for lag */
    int64_t high_offset;    /* behind the last record or marker, as last heard; -1: not yet */
    int64_t end_offset;     /* where reading last came to the end; -1: not yet */
    int64_t stalled_offset; /* where it stood at the last look, if records waited then; -1: none */
    struct partition_trouble trouble;
    bool end_known;    /* Kafka has said at the last question where it ends */
    int stalls;        /* looks in a row that found it stalled */
    bool topic_known;  /* the group has read some partition of the topic */
    bool contradicted; /* Kafka has said that it does not have our offset */
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
/* Forgets one, if it is there: the others' indices change. */
void partitions_remove(struct partitions *partitions, const char *topic, int32_t number);
/* Forgets all that is known of each but where it is: as if they were just added. */
void partitions_reset(struct partitions *partitions);
void partitions_clear(struct partitions *partitions);

#endif
