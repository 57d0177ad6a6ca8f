#include "partitions.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static bool partitions_is_at(const struct partition *partition, const char *topic, int32_t number) {
    return partition->number == number && strcmp(partition->topic, topic) == 0;
}

size_t partitions_find(struct partitions *partitions, const char *topic, int32_t number) {
    if (partitions->last < partitions->count &&
        partitions_is_at(&partitions->items[partitions->last], topic, number)) {
        return partitions->last;
    }
    for (size_t i = 0; i < partitions->count; i++) {
        if (partitions_is_at(&partitions->items[i], topic, number)) {
            return partitions->last = i;
        }
    }
    return PARTITION_NONE;
}

/* Takes over the topic. */
static struct partition partitions_fresh(char *topic, int32_t number) {
    return (struct partition){.topic = topic,
                              .number = number,
                              .handler = -1,
                              .next_offset = -1,
                              .committed_offset = -1,
                              .reported_offset = -1,
                              .counted = -1,
                              .probe_offset = -1,
                              .high_offset = -1,
                              .end_offset = -1,
                              .stalled_offset = -1};
}

size_t partitions_add(struct partitions *partitions, const char *topic, int32_t number) {
    size_t count = partitions->count + 1;
    partitions->items = xrealloc(partitions->items, count * sizeof *partitions->items);
    partitions->items[partitions->count] = partitions_fresh(xstrdup(topic), number);
    return partitions->count++;
}

void partitions_remove(struct partitions *partitions, const char *topic, int32_t number) {
    size_t at = partitions_find(partitions, topic, number);
    if (at != PARTITION_NONE) {
        free(partitions->items[at].topic);
        free(partitions->items[at].position);
        partitions->items[at] = partitions->items[--partitions->count];
    }
}

void partitions_reset(struct partitions *partitions) {
    for (size_t i = 0; i < partitions->count; i++) {
        struct partition *partition = &partitions->items[i];
        free(partition->position);
        *partition = partitions_fresh(partition->topic, partition->number);
    }
}

void partitions_clear(struct partitions *partitions) {
    for (size_t i = 0; i < partitions->count; i++) {
        free(partitions->items[i].topic);
        free(partitions->items[i].position);
    }
    free(partitions->items);
    *partitions = (struct partitions){0};
}
