#include "event_differences.h"

#include <stdlib.h>

#include "base/json_put.h"
#include "base/xalloc.h"

#define EXAMPLES 10 /* of each list */

struct rejection_count {
    const char *handler; /* a generation's */
    struct slice reason; /* owned */
    int64_t counts[SHADOW_RUN_SIDES];
};

static struct event *event_differences_at(const struct side *side, size_t at) {
    return at == SIDE_NO_EVENT ? NULL : &side->batch.events[at];
}

/* Adds the event, unless the list is full. `name` and `text`: its reason, or what it rests on. */
static void event_differences_add_example(struct buffer *examples, int64_t count,
                                          const struct side *side, const struct event *event,
                                          const char *name, struct slice text) {
    if (count > EXAMPLES) {
        return;
    }
    json_open(examples, NULL, "{");
    side_put_event(examples, side, event);
    json_put_text(examples, name, text);
    if (!event->rests_on) {
        json_put_text(examples, "detail", event->detail);
    }
    buffer_append_text(examples, "}");
}

/* ---- undecided ----------------------------------------------------------------------------- */

void event_differences_note_undecided(struct event_differences *differences,
                                      struct side sides[SHADOW_RUN_SIDES],
                                      const struct event_place *place) {
    for (int i = SHADOW_RUN_SIDES - 1; i >= 0; i--) {
        const struct event *event = event_differences_at(&sides[i], place->at[i]);
        struct event *other = event_differences_at(&sides[!i], place->at[!i]);
        if (!event || !event->rests_on) {
            continue;
        }
        /* A rejection by a handler that asked nothing does not depend on any reply. */
        if (other && !other->rests_on && other->state != EVENT_REJECTED) {
            other->rests_on = event->rests_on;
        }
        event_differences_add_example(&differences->undecided_examples, ++differences->undecided,
                                      &sides[i], event, "rests_on", slice_of(event->rests_on));
        return;
    }
}

/* ---- rejected ------------------------------------------------------------------------------ */

static bool event_differences_is_rejected(const struct event *event) {
    return event && event->state == EVENT_REJECTED;
}

static struct rejection_count *event_differences_find(struct event_differences *differences,
                                                      const char *handler, struct slice reason) {
    for (size_t i = 0; i < differences->count; i++) {
        struct rejection_count *known = &differences->counts[i];
        if (strcmp(known->handler, handler) == 0 && slice_equal(known->reason, reason)) {
            return known;
        }
    }
    size_t bytes = (differences->count + 1) * sizeof *differences->counts;
    differences->counts = xrealloc(differences->counts, bytes);
    struct rejection_count *added = &differences->counts[differences->count++];
    *added = (struct rejection_count){.handler = handler,
                                      .reason = {xstrndup(reason.data, reason.len), reason.len}};
    return added;
}

void event_differences_note_rejected(struct event_differences *differences,
                                     const struct side sides[SHADOW_RUN_SIDES],
                                     const struct event_place *place) {
    for (int i = 0; i < SHADOW_RUN_SIDES; i++) {
        const struct event *event = event_differences_at(&sides[i], place->at[i]);
        if (!event_differences_is_rejected(event)) {
            continue;
        }
        const char *handler = side_handler_of(&sides[i], event);
        event_differences_find(differences, handler, event->reason)->counts[i]++;
        if (!event_differences_is_rejected(event_differences_at(&sides[!i], place->at[!i]))) {
            event_differences_add_example(&differences->alone_examples[i], ++differences->alone[i],
                                          &sides[i], event, "reason", event->reason);
        }
    }
}

void event_differences_append(const struct event_differences *differences, struct buffer *json) {
    json_put_int(json, "no_longer_rejected", differences->alone[SHADOW_RUN_OLD]);
    json_put_int(json, "not_compared", differences->undecided);
    json_put_list(json, "not_compared_events", &differences->undecided_examples);
    json_open(json, "rejected", "[");
    for (size_t i = 0; i < differences->count; i++) {
        const struct rejection_count *counted = &differences->counts[i];
        json_open(json, NULL, "{");
        json_put_text(json, "handler", slice_of(counted->handler));
        json_put_text(json, "reason", counted->reason);
        json_put_int(json, "old", counted->counts[SHADOW_RUN_OLD]);
        json_put_int(json, "new", counted->counts[SHADOW_RUN_NEW]);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
    json_put_list(json, "rejected_by_old_only", &differences->alone_examples[SHADOW_RUN_OLD]);
    json_put_list(json, "rejected_by_new_only", &differences->alone_examples[SHADOW_RUN_NEW]);
}

void event_differences_free(struct event_differences *differences) {
    for (size_t i = 0; i < differences->count; i++) {
        free((char *)differences->counts[i].reason.data);
    }
    free(differences->counts);
    buffer_free(&differences->alone_examples[SHADOW_RUN_OLD]);
    buffer_free(&differences->alone_examples[SHADOW_RUN_NEW]);
    buffer_free(&differences->undecided_examples);
}
