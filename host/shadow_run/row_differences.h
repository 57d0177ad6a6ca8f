/* row_differences: compares the rows that the two sides have made. One thread. */
#pragma once

#include "declarations.h"
#include "side_pipeline.h"

struct row_differences {
    int64_t rows; /* each key once */
    int64_t differing;
    struct buffer tables; /* JSON list elements; the caller frees it */
};

/* Compares one shared table, and adds it. */
bool row_differences_find(struct row_differences *differences, struct sql_session *session,
                          const struct side sides[SHADOW_RUN_SIDES], const struct view_table *table,
                          struct err *err);
