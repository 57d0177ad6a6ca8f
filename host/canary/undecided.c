#include "undecided.h"

#include "base/json_put.h"

#define EXAMPLES 10

static struct event *undecided_event_at(const struct side *side, size_t at) {
    return at == SIDE_NO_EVENT ? NULL : &side->batch.events[at];
}

static void undecided_add_example(struct buffer *examples, const struct side *side,
                                  const struct event *event) {
    json_put_name(examples, NULL);
    buffer_append_text(examples, "{");
    side_put_event(examples, side, event);
    json_put_text(examples, "rests_on", slice_of(event->rests_on));
    buffer_append_text(examples, "}");
}

/* A rejection that asked nothing stands: it does not hang on an answer. */
static void undecided_mark(struct event *event, const char *binding) {
    if (event && !event->rests_on && event->state != EVENT_REJECTED) {
        event->rests_on = binding;
    }
}

void undecided_note(struct undecided *undecided, struct side sides[CANARY_SIDES],
                    const size_t at[CANARY_SIDES]) {
    for (int i = CANARY_SIDES - 1; i >= 0; i--) {
        const struct event *event = undecided_event_at(&sides[i], at[i]);
        if (!event || !event->rests_on) {
            continue;
        }
        undecided_mark(undecided_event_at(&sides[!i], at[!i]), event->rests_on);
        if (undecided->count++ < EXAMPLES) {
            undecided_add_example(&undecided->examples, &sides[i], event);
        }
        return;
    }
}

void undecided_append(const struct undecided *undecided, struct buffer *json) {
    json_put_int(json, "not_compared", undecided->count);
    json_put_list(json, "not_compared_events", &undecided->examples);
}

void undecided_free(struct undecided *undecided) {
    buffer_free(&undecided->examples);
}
