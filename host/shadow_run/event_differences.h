/* event_differences: compares the outcome of each event on both sides: which side rejects it and
 * why, and which events neither side can decide. One thread. */
#pragma once

#include "declarations.h"
#include "side_pipeline.h"

struct rejection_count; /* of one handler and reason */

struct event_differences {
    struct rejection_count *counts;
    size_t count;
    int64_t alone[SHADOW_RUN_SIDES];                /* events that only this side rejects */
    struct buffer alone_examples[SHADOW_RUN_SIDES]; /* the first of them: JSON list elements */
    int64_t undecided;
    struct buffer undecided_examples; /* likewise */
};

/* The place of one event in each side's batch, or SIDE_NO_EVENT. */
struct event_place {
    size_t at[SHADOW_RUN_SIDES];
};

/* After both sides handled the event. If either handler asked an outside system, which a shadow run
 * does not touch, the event is undecided: outside_events_exclude takes it out on both sides. */
void event_differences_note_undecided(struct event_differences *differences,
                                      struct side sides[SHADOW_RUN_SIDES],
                                      const struct event_place *place);
/* After both sides committed the event. */
void event_differences_note_rejected(struct event_differences *differences,
                                     const struct side sides[SHADOW_RUN_SIDES],
                                     const struct event_place *place);
/* Appends members of a JSON object. */
void event_differences_append(const struct event_differences *differences, struct buffer *json);
void event_differences_free(struct event_differences *differences);
