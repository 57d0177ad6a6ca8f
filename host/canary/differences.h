/* differences: how the rows that the two sides of a canary have made differ. One thread. */
#ifndef AGG_HOST_CANARY_DIFFERENCES_H
#define AGG_HOST_CANARY_DIFFERENCES_H

#include "common.h"
#include "side.h"

struct differences {
    int64_t rows;          /* of either side, each key once */
    int64_t differing;     /* of these, those that are not the same on both */
    struct buffer *tables; /* the caller's: elements of a JSON list */
};

/* Compares one table that both have, and adds it. */
bool differences_find(struct differences *differences, struct sql_session *session,
                      const struct side sides[CANARY_SIDES], const struct view_table *table,
                      struct err *err);

#endif
