#include "reacting.h"

#include "base/log.h"

void reacting_begin(struct reacting *reacting, const struct side *side) {
    *reacting = (struct reacting){.max_keys = ROUND_MAX_KEYS};
    round_open(&reacting->round, pg_create_like(side->pipeline.pg), side->pipeline.generation);
    reacting->round.muted = side_muted;
}

void reacting_end(struct reacting *reacting) {
    round_close(&reacting->round);
}

/* Like the reactor's: a query that takes too long, or ends its connection, is at fault itself where
 * keys were taken before. */
static bool reacting_run_round(struct reacting *reacting, struct round_counts *counts,
                               struct err *err) {
    struct err refusal = {0};
    enum round_result result =
        round_run(&reacting->round, reacting->reaction, reacting->max_keys, counts, &refusal);
    if (result == ROUND_DONE) {
        size_t more = reacting->max_keys * 2;
        reacting->max_keys = more < ROUND_MAX_KEYS ? more : ROUND_MAX_KEYS;
        return true;
    }
    if (counts->keys == 0) {
        *err = refusal;
        return false;
    }
    return round_isolate(&reacting->round, reacting->reaction, counts, refusal.text,
                         &reacting->max_keys, err);
}

bool reacting_turn(struct reacting *reacting, bool *done, struct err *err) {
    size_t count;
    struct round_counts counts = {0};
    script_generation_reactions(reacting->round.generation, &count);
    *done = reacting->reaction == count;
    if (*done) {
        return true;
    }
    log_mute(true); /* what scripts log of these keys has been said, or is to come */
    bool ok = pg_connect(reacting->round.pg, err) && reacting_run_round(reacting, &counts, err);
    log_mute(false);
    if (ok && counts.keys == 0) {
        reacting->reaction++;
        reacting->max_keys = ROUND_MAX_KEYS;
    }
    return ok;
}
