/* staged: what the events of a batch publish, kept as their merges are: staged while the handler
 * runs, accepted or discarded with it, and known by event, so that a batch that the database
 * refuses can be stored in parts. One owner thread. */
#ifndef AGG_HOST_OUTBOX_STAGED_H
#define AGG_HOST_OUTBOX_STAGED_H

#include "outbox.h"

struct staged_messages {
    struct outbox_message *items; /* in order of the events; theirs is the memory of an arena */
    size_t *events;               /* parallel to them */
    size_t accepted;
    size_t count;       /* from `accepted` on they wait for accept or discard */
    size_t first, last; /* of the accepted ones, what is selected */
    size_t capacity;
};

void staged_free(struct staged_messages *staged);
void staged_reset(struct staged_messages *staged);
void staged_add(struct staged_messages *staged, const struct outbox_message *message);
/* Those that wait for accept or discard belong to the trace; borrowed as their texts are. */
void staged_trace(struct staged_messages *staged, struct slice traceparent);
void staged_discard(struct staged_messages *staged);
/* What is staged belongs to the event from now on; all that was accepted is selected. */
void staged_accept(struct staged_messages *staged, size_t event);
/* Drops those of the chosen events, for good; what is left is selected. Nothing is staged. */
void staged_forget(struct staged_messages *staged, bool (*forgets)(void *context, size_t event),
                   void *context);
/* Selects those of the events in [first, last). */
void staged_select(struct staged_messages *staged, size_t first, size_t last);

#endif
