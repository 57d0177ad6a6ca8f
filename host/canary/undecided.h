/* undecided: events of a canary that one side's handler could not decide, for it asked an outside
 * system, which a canary does not touch. Neither side's rows have them. One thread. */
#ifndef AGG_HOST_CANARY_UNDECIDED_H
#define AGG_HOST_CANARY_UNDECIDED_H

#include "common.h"
#include "side.h"

struct undecided {
    int64_t count;
    struct buffer examples; /* elements of a JSON list */
};

/* Notes the event at these places of the handled batches where it is one, and marks it on both
 * sides for outside_events_exclude. */
void undecided_note(struct undecided *undecided, struct side sides[CANARY_SIDES],
                    const size_t at[CANARY_SIDES]);
void undecided_append(const struct undecided *undecided, struct buffer *json);
void undecided_free(struct undecided *undecided);

#endif
