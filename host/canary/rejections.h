/* rejections: which events of a canary each side has rejected, and why. One thread. */
#ifndef AGG_HOST_CANARY_REJECTIONS_H
#define AGG_HOST_CANARY_REJECTIONS_H

#include "common.h"
#include "side.h"

struct rejection_count; /* of one handler and reason */

struct rejections {
    struct rejection_count *counts;
    size_t count;
    int64_t alone[CANARY_SIDES];          /* events that this side rejects and the other does not */
    struct buffer examples[CANARY_SIDES]; /* of these the first: elements of a JSON list */
};

/* The same event on both sides, as an index into each one's settled batch or SIDE_NO_EVENT. */
void rejections_note(struct rejections *rejections, const struct side sides[CANARY_SIDES],
                     const size_t at[CANARY_SIDES]);
/* Appends the members of a JSON object. */
void rejections_append(const struct rejections *rejections, struct buffer *json);
void rejections_free(struct rejections *rejections);

#endif
