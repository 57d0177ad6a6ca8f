#include "partitions.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/xalloc.h"

/* A slot holds the index of an item, plus 1. */
#define SLOT_FREE 0
#define SLOT_REMOVED UINT32_MAX

static bool partitions_is_at(const struct partition *partition, const char *topic, int32_t number) {
    return partition->number == number && strcmp(partition->topic, topic) == 0;
}

/* ---- the index ------------------------------------------------------------------------------- */

static size_t partitions_next_slot(const struct partitions *partitions, size_t slot) {
    return (slot + 1) & (partitions->slot_count - 1);
}

static size_t partitions_first_slot(const struct partitions *partitions, const char *topic,
                                    int32_t number) {
    return hash64_seeded(slice_of(topic), (uint32_t)number) & (partitions->slot_count - 1);
}

/* The partition's slot, or the free one behind its place. */
static size_t partitions_slot_of(const struct partitions *partitions, const char *topic,
                                 int32_t number) {
    size_t slot = partitions_first_slot(partitions, topic, number);
    for (;; slot = partitions_next_slot(partitions, slot)) {
        uint32_t held = partitions->slots[slot];
        if (held == SLOT_FREE || (held != SLOT_REMOVED &&
                                  partitions_is_at(&partitions->items[held - 1], topic, number))) {
            return slot;
        }
    }
}

static void partitions_index(struct partitions *partitions, size_t at) {
    const struct partition *partition = &partitions->items[at];
    size_t slot = partitions_slot_of(partitions, partition->topic, partition->number);
    partitions->slots[slot] = (uint32_t)at + 1;
}

/* At most half of the slots are in use, removed ones included. */
static void partitions_make_slots(struct partitions *partitions) {
    partitions->slot_count = 16;
    while (partitions->slot_count < 4 * partitions->count) {
        partitions->slot_count *= 2;
    }
    free(partitions->slots);
    partitions->slots = xcalloc(partitions->slot_count, sizeof *partitions->slots);
    partitions->slots_used = partitions->count;
    for (size_t i = 0; i < partitions->count; i++) {
        partitions_index(partitions, i);
    }
}

size_t partitions_find(struct partitions *partitions, const char *topic, int32_t number) {
    if (partitions->last < partitions->count &&
        partitions_is_at(&partitions->items[partitions->last], topic, number)) {
        return partitions->last;
    }
    uint32_t held = partitions->count == 0
                        ? SLOT_FREE
                        : partitions->slots[partitions_slot_of(partitions, topic, number)];
    return held == SLOT_FREE ? PARTITION_NONE : (partitions->last = held - 1);
}

/* ---- changes ------------------------------------------------------------------------------- */

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
    size_t at = partitions->count;
    if (at == partitions->capacity) {
        partitions->capacity = at ? 2 * at : 4;
        partitions->items =
            xrealloc(partitions->items, partitions->capacity * sizeof *partitions->items);
    }
    partitions->items[at] = partitions_fresh(xstrdup(topic), number);
    partitions->count++;
    if (2 * (partitions->slots_used + 1) > partitions->slot_count) {
        partitions_make_slots(partitions);
    } else {
        partitions_index(partitions, at);
        partitions->slots_used++;
    }
    return at;
}

void partitions_remove(struct partitions *partitions, const char *topic, int32_t number) {
    size_t at = partitions_find(partitions, topic, number);
    if (at == PARTITION_NONE) {
        return;
    }
    partitions->slots[partitions_slot_of(partitions, topic, number)] = SLOT_REMOVED;
    free(partitions->items[at].topic);
    free(partitions->items[at].position);
    size_t moved = --partitions->count;
    if (moved != at) {
        const struct partition *partition = &partitions->items[moved];
        size_t slot = partitions_slot_of(partitions, partition->topic, partition->number);
        partitions->items[at] = *partition;
        partitions->slots[slot] = (uint32_t)at + 1;
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
    free(partitions->slots);
    *partitions = (struct partitions){0};
}
