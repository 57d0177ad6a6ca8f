/* plan: what a table's next horizon would remove. Changes nothing. */
#pragma once

#include "indexes.h"
#include "sweep.h"

struct plan {
    struct sweep_state state;
    int64_t next_us;                    /* the horizon of today */
    int64_t rows[VIEW_MAX_HANGING + 1]; /* before it: of the table, then of those in `with` */
    bool lacks_index[INDEXES_MAX];      /* likewise: its delete reads the whole table */
};

/* Counts with the session's time limit: it may read many rows. */
bool plan_read(struct sql_session *session, const struct view_table *table, struct plan *plan,
               struct err *err);
