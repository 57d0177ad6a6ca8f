/* reacting: the reactions of one side of a canary, for the keys that its events have marked: the
 * rounds of production, in the side's own schema. What they want published stays in the outbox of
 * the schema, and a key that fails stays marked there, with the error. One thread. */
#ifndef AGG_HOST_CANARY_REACTING_H
#define AGG_HOST_CANARY_REACTING_H

#include "reaction/round.h"
#include "side.h"

struct reacting {
    struct round round;
    size_t reaction; /* the one whose marks are worked off now */
    size_t max_keys; /* of its next round */
};

/* The side has committed all its events, and outlives this. */
void reacting_begin(struct reacting *reacting, const struct side *side);
void reacting_end(struct reacting *reacting);
/* One round; *done where no key is left. False: the database could not be asked. */
bool reacting_turn(struct reacting *reacting, bool *done, struct err *err);

#endif
