/* side_reactions: the reactions of one side, for the keys that its events have marked. Runs the
 * rounds of production in the side's schema: messages stay in its outbox, and a key that fails
 * stays marked, with the error. */
#include "base/log.h"
#include "reaction/round.h"
#include "side_pipeline.h"

/* As in the reactor: a query that times out or ends its connection is the cause itself if keys were
 * taken before. */
static bool side_reactions_run_round(struct round *round, size_t reaction, size_t *max_keys,
                                     struct round_counts *counts, struct err *err) {
    struct err failure = {0};
    if (round_run(round, reaction, *max_keys, counts, &failure) == ROUND_DONE) {
        size_t more = *max_keys * 2;
        *max_keys = more < ROUND_MAX_KEYS ? more : ROUND_MAX_KEYS;
        return true;
    }
    if (counts->keys == 0) {
        *err = failure;
        return false;
    }
    return round_isolate(round, reaction, counts, failure.text, max_keys, err);
}

bool side_react(const struct side *side, bool (*go_on)(void *context, struct err *err),
                void *context, struct err *err) {
    struct round round;
    size_t reaction = 0, count, max_keys = ROUND_MAX_KEYS;
    bool ok = true;
    round_open(&round, pg_create_like(side->pipeline.pg), side->pipeline.generation);
    round.muted = side_muted;
    script_generation_reactions(round.generation, &count);
    while (ok && reaction < count) {
        struct round_counts counts = {0};
        log_mute(true); /* production logs what scripts log of these keys */
        ok = pg_connect(round.pg, err) &&
             side_reactions_run_round(&round, reaction, &max_keys, &counts, err);
        log_mute(false);
        if (ok && counts.keys == 0) {
            reaction++;
            max_keys = ROUND_MAX_KEYS;
        }
        ok = ok && go_on(context, err);
    }
    round_close(&round);
    return ok;
}
