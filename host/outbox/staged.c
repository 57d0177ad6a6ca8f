#include "staged.h"

#include <stdlib.h>

#include "base/xalloc.h"

void staged_free(struct staged_messages *staged) {
    free(staged->items);
    free(staged->events);
    *staged = (struct staged_messages){0};
}

void staged_reset(struct staged_messages *staged) {
    staged->accepted = staged->count = staged->first = staged->last = 0;
}

void staged_add(struct staged_messages *staged, const struct outbox_message *message) {
    if (staged->count == staged->capacity) {
        staged->capacity = staged->capacity ? staged->capacity * 2 : 16;
        staged->items = xrealloc(staged->items, staged->capacity * sizeof *staged->items);
        staged->events = xrealloc(staged->events, staged->capacity * sizeof *staged->events);
    }
    staged->items[staged->count++] = *message;
}

void staged_trace(struct staged_messages *staged, struct slice traceparent) {
    for (size_t i = staged->accepted; i < staged->count; i++) {
        staged->items[i].traceparent = traceparent;
    }
}

void staged_discard(struct staged_messages *staged) {
    staged->count = staged->accepted;
}

static void staged_select_all(struct staged_messages *staged) {
    staged->first = 0;
    staged->last = staged->accepted = staged->count;
}

void staged_accept(struct staged_messages *staged, size_t event) {
    for (size_t i = staged->accepted; i < staged->count; i++) {
        staged->events[i] = event;
    }
    staged_select_all(staged);
}

void staged_forget(struct staged_messages *staged, bool (*forgets)(void *context, size_t event),
                   void *context) {
    size_t kept = 0;
    for (size_t i = 0; i < staged->accepted; i++) {
        if (!forgets(context, staged->events[i])) {
            staged->items[kept] = staged->items[i];
            staged->events[kept++] = staged->events[i];
        }
    }
    staged->count = kept;
    staged_select_all(staged);
}

void staged_select(struct staged_messages *staged, size_t first, size_t last) {
    size_t at = 0;
    while (at < staged->accepted && staged->events[at] < first) {
        at++;
    }
    staged->first = at;
    while (at < staged->accepted && staged->events[at] < last) {
        at++;
    }
    staged->last = at;
}
