#include "plan.h"

#include "base/timestamp.h"
#include "retention/plan.sql.h"

static bool plan_read_next(struct sql_session *session, const struct view_table *table,
                           struct plan *plan, struct err *err) {
    pg_params_add_text(session->params, slice_of(table->name));
    pg_params_add_int8(session->params, table->retention->days);
    return sql_query_int(session, next_sql, &plan->next_us, err);
}

/* `of` NULL: the rows of the table itself. */
static bool plan_count(struct sql_session *session, const struct view_table *table,
                       const struct view_hanging *of, int64_t next_us, int64_t *count,
                       struct err *err) {
    struct buffer sql = {0};
    char next[TIMESTAMP_TEXT_CAP];
    const char *by = table->groups[table->retention->by].name;
    if (of) {
        buffer_append_format(&sql,
                             "SELECT count(*) FROM \"%s\" WHERE \"%s\" IN (SELECT \"%s\" FROM "
                             "\"%s\" WHERE \"%s_at\" < $1::timestamptz)",
                             of->table, of->column, table->key[0].name, table->name, by);
    } else {
        buffer_append_format(&sql, "SELECT count(*) FROM \"%s\" WHERE \"%s_at\" < $1::timestamptz",
                             table->name, by);
    }
    pg_params_add_text(session->params, (struct slice){next, timestamp_format(next_us, next)});
    bool ok = sql_query_int(session, sql.data, count, err);
    buffer_free(&sql);
    return ok;
}

bool plan_read(struct sql_session *session, const struct view_table *table, struct plan *plan,
               struct err *err) {
    const struct view_retention *retention = table->retention;
    *plan = (struct plan){0};
    bool ok = sweep_read_state(session, table, &plan->state, err) &&
              plan_read_next(session, table, plan, err) &&
              indexes_find_missing(session, table, plan->lacks_index, err) &&
              plan_count(session, table, NULL, plan->next_us, &plan->rows[0], err);
    for (size_t i = 0; ok && i < retention->with_count; i++) {
        ok =
            plan_count(session, table, &retention->with[i], plan->next_us, &plan->rows[i + 1], err);
    }
    return ok;
}
