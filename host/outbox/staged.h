/* staged: messages of the events of a batch: staged while the handler runs, then accepted or
 * discarded with its event. Each has its event, so that a batch that Postgres refuses can be stored
 * in parts. One owner thread. */
#pragma once

#include "outbox.h"

struct staged_messages {
    struct outbox_message *items; /* in order of the events; texts borrowed from an arena */
    size_t *events;               /* of each item */
    size_t accepted;
    size_t count;       /* the items from `accepted` on are staged */
    size_t first, last; /* the selected ones of the accepted */
    size_t capacity;
};

void staged_free(struct staged_messages *staged);
void staged_reset(struct staged_messages *staged);
void staged_add(struct staged_messages *staged, const struct outbox_message *message);
/* Sets the trace of the staged messages; borrowed as their texts are. */
void staged_trace(struct staged_messages *staged, struct slice traceparent);
void staged_discard(struct staged_messages *staged);
/* Accepts the staged messages for the event; selects all accepted ones. */
void staged_accept(struct staged_messages *staged, size_t event);
/* Drops those of the chosen events; selects the rest. No message may be staged. */
void staged_forget(struct staged_messages *staged, bool (*forgets)(void *context, size_t event),
                   void *context);
/* Selects the messages of the events in [first, last). */
void staged_select(struct staged_messages *staged, size_t first, size_t last);
