/* common: what the declarations of two generations have in common, to be compared, and what only
 * one of them has, to be told. */
#ifndef AGG_HOST_CANARY_COMMON_H
#define AGG_HOST_CANARY_COMMON_H

#include "base/buffer.h"
#include "script/script.h"

enum canary_which { CANARY_OLD, CANARY_NEW, CANARY_SIDES };

struct common {
    struct view view; /* tables, groups and columns that both have; names are the new view's */
    /* "topic X", "reaction X", "table X", "column X.Y" of one alone, as elements of a JSON list. */
    struct buffer only[CANARY_SIDES];
};

/* The new generation must outlive it. */
void common_init(struct common *common, const struct script_generation *old,
                 const struct script_generation *new);
void common_free(struct common *common);

#endif
