#include "horizon.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "pipeline.h"
#include "pipeline/horizon.sql.h"

#define DAY_US (86400 * 1000000LL)
/* Half of VIEW_HORIZON_LAG_DAYS: the rest is for clocks that differ. */
#define RECENT_US (VIEW_HORIZON_LAG_DAYS / 2 * DAY_US)

static void horizon_forget(struct horizon *horizon) {
    for (size_t i = 0; i < horizon->count; i++) {
        free(horizon->roots[i].table);
    }
    horizon->count = 0;
}

bool horizon_read(struct horizon *horizon, const struct view *view, struct pg *pg, int timeout_ms,
                  struct err *err) {
    struct pg_result *rows = NULL;
    if (!view->forgets) {
        return true;
    }
    if (!pg_query(pg, "horizons", horizons_sql, NULL, timeout_ms, &rows, err)) {
        return false;
    }
    size_t count = (size_t)pg_rows_count(rows);
    horizon_forget(horizon);
    horizon->roots = xrealloc(horizon->roots, (count + 1) * sizeof *horizon->roots);
    for (size_t i = 0; i < count; i++) {
        horizon->roots[horizon->count++] =
            (struct horizon_root){xstrdup(pg_rows_text(rows, (int)i, 0)),
                                  strtoll(pg_rows_text(rows, (int)i, 1), NULL, 10)};
    }
    pg_rows_free(rows);
    return true;
}

void horizon_expect(struct horizon *horizon, const struct view *view, int64_t now_us) {
    horizon_forget(horizon);
    horizon->roots = xrealloc(horizon->roots, (view->table_count + 1) * sizeof *horizon->roots);
    for (size_t i = 0; i < view->table_count; i++) {
        const struct view_retention *retention = view->tables[i].retention;
        if (retention) {
            int64_t days = retention->days - retention->span_days;
            horizon->roots[horizon->count++] = (struct horizon_root){
                xstrdup(view->tables[i].name), now_us - now_us % DAY_US - days * DAY_US};
        }
    }
}

const struct horizon_root *horizon_passed(const struct horizon *horizon, int64_t at_us) {
    for (size_t i = 0; i < horizon->count; i++) {
        if (at_us < horizon->roots[i].expired_before_us) {
            return &horizon->roots[i];
        }
    }
    return NULL;
}

void horizon_free(struct horizon *horizon) {
    horizon_forget(horizon);
    free(horizon->roots);
    *horizon = (struct horizon){0};
}

void horizon_begin_turn(struct horizon *horizon) {
    horizon->recent_us = clock_wall_us() - RECENT_US;
}

int64_t horizon_expired_before_us(const struct horizon *horizon, const char *root) {
    for (size_t i = 0; i < horizon->count; i++) {
        if (strcmp(horizon->roots[i].table, root) == 0) {
            return horizon->roots[i].expired_before_us;
        }
    }
    return INT64_MIN;
}

struct judging {
    const struct horizon *horizon;
    const struct view *view;
    bool is_old; /* an operation depends on a horizon */
};

static bool horizon_has_passed(void *context, const struct merge_op *op,
                               struct merge_version version) {
    struct judging *judging = context;
    int root = judging->view->tables[op->table].root;
    if (root < 0 || version.at_us >= judging->horizon->recent_us) {
        return false;
    }
    judging->is_old = true;
    return version.at_us <
           horizon_expired_before_us(judging->horizon, judging->view->tables[root].name);
}

bool horizon_expires(struct pipeline *pipeline, struct batch *batch) {
    const struct view *view = script_generation_view(batch->generation);
    struct judging judging = {.horizon = &pipeline->horizon, .view = view};
    if (!view->forgets) {
        return false;
    }
    size_t staged = merge_staged_count(batch->merge);
    size_t left = merge_unstage(batch->merge, horizon_has_passed, &judging);
    batch->is_old = batch->is_old || judging.is_old;
    return staged > 0 && left == 0;
}

bool horizon_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    const struct view *view = script_generation_view(batch->generation);
    struct pg_params *params = pipeline->params;
    if (!batch->is_old) {
        return true;
    }
    pg_params_reset(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < view->table_count; i++) {
        if (view->tables[i].retention) {
            pg_array_bytes(params, slice_of(view->tables[i].name));
        }
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TIMESTAMPTZ);
    for (size_t i = 0; i < view->table_count; i++) {
        int64_t before_us = horizon_expired_before_us(&pipeline->horizon, view->tables[i].name);
        if (!view->tables[i].retention) {
            continue;
        }
        before_us == INT64_MIN ? pg_array_null(params) : pg_array_timestamp(params, before_us);
    }
    pg_array_end(params);
    return pg_send(pipeline->pg, "hold_horizons", hold_sql, params, false, err);
}
