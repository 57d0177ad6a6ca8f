#include "compare_sql.h"

#include <inttypes.h>

#include "view/view_sql.h"

#define VALUE_MAX_CHARACTERS 300

/* ---- lists of columns ---------------------------------------------------------------------- */

struct list {
    struct buffer *out;
    const char *prefix; /* of each name */
    int number;
};

static void compare_sql_write_item(void *context, const struct view_table *table, int group,
                                   int column) {
    struct list *list = context;
    buffer_append_text(list->out, list->number++ ? ", " : "");
    buffer_append_text(list->out, list->prefix);
    view_sql_append_name(list->out, table, group, column);
}

static void compare_sql_append_keys(struct buffer *sql, const struct view_table *table,
                                    const char *prefix) {
    struct list list = {sql, prefix, 0};
    view_sql_columns(table, 0, compare_sql_write_item, &list);
}

static void compare_sql_append_all(struct buffer *sql, const struct view_table *table) {
    struct list list = {sql, "", 0};
    view_sql_columns(table, UINT32_MAX, compare_sql_write_item, &list);
}

static void compare_sql_append_keys_equal(struct buffer *sql, const struct view_table *table) {
    for (size_t i = 0; i < table->key_count; i++) {
        const char *name = table->key[i].name;
        buffer_append_format(sql, "%st.\"%s\" = d.\"%s\"", i ? " AND " : "", name, name);
    }
}

static void compare_sql_append_key_text(struct buffer *sql, const struct view_table *table) {
    buffer_append_text(sql, "concat_ws(' '");
    for (size_t i = 0; i < table->key_count; i++) {
        const char *name = table->key[i].name;
        buffer_append_format(sql, ", '%s=' || \"%s\"::text", name, name);
    }
    buffer_append_text(sql, ")");
}

/* ---- the wanted row ------------------------------------------------------------------------ */

/* Whether the live group (of l) wins over the shadow's (of s) by the declared rule. */
static void compare_sql_append_wins(const struct view_group *group, struct buffer *sql) {
    const char *sign = group->rule == VIEW_FIRST || group->rule == VIEW_MIN ? "<" : ">";
    const char *n = group->name;
    if (view_sql_is_versioned(group)) {
        buffer_append_format(sql,
                             "((s).\"%s_at\" IS NULL OR ((l).\"%s_at\", (l).\"%s_event_id\") "
                             "%s ((s).\"%s_at\", (s).\"%s_event_id\"))",
                             n, n, n, sign, n, n);
    } else {
        const char *c = group->columns[0].name;
        buffer_append_format(sql,
                             "((l).\"%s\" IS NOT NULL AND ((s).\"%s\" IS NULL OR "
                             "(l).\"%s\" %s (s).\"%s\"))",
                             c, c, c, sign, c);
    }
}

/* Whether the live group's event cannot be derived again. */
static void compare_sql_append_not_derived(const struct compare_scope *scope,
                                           const struct view_group *group, struct buffer *sql) {
    const char *n = group->name;
    buffer_append_text(sql, "(false");
    if (scope->lost_before_us != 0) {
        bool all = scope->lost_before_us == INT64_MAX;
        buffer_append_format(
            sql, " OR (l).\"%s_at\" < timestamptz '%s' + %" PRId64 " * interval '1 microsecond'", n,
            all ? "infinity" : "epoch", all ? 0 : scope->lost_before_us);
    }
    if (scope->outside) {
        buffer_append_format(sql,
                             " OR EXISTS (SELECT FROM %s.outside_events o WHERE o.event_id = "
                             "(l).\"%s_event_id\" AND o.at = (l).\"%s_at\")",
                             scope->shadow, n, n);
    }
    buffer_append_text(sql, ")");
}

/* Whether the live group stays although the log does not give it. */
static void compare_sql_append_keep(const struct compare_scope *scope,
                                    const struct view_group *group, struct buffer *sql) {
    if (scope->lost_before_us == 0 && !scope->outside) {
        buffer_append_text(sql, "false");
        return;
    }
    buffer_append_text(sql, "coalesce(");
    if (view_sql_is_versioned(group)) {
        compare_sql_append_not_derived(scope, group, sql);
        buffer_append_text(sql, " AND ");
    }
    compare_sql_append_wins(group, sql);
    buffer_append_text(sql, ", false)");
}

static void compare_sql_append_kept(const struct view_table *table, bool versioned, bool others,
                                    struct buffer *sql) {
    buffer_append_text(sql, "(false");
    for (size_t g = 0; g < table->group_count; g++) {
        if (view_sql_is_versioned(&table->groups[g]) ? versioned : others) {
            buffer_append_format(sql, " OR \"KEEP_%zu\"", g);
        }
    }
    buffer_append_text(sql, ")");
}

/* A row stays by a versioned group that is kept. A kept minimum or maximum names no event: it keeps
 * the row only if no version does and an event that cannot be derived again may have made the row.
 */
static void compare_sql_append_lives_on(const struct compare_scope *scope,
                                        const struct view_table *table, struct buffer *sql) {
    compare_sql_append_kept(table, true, false, sql);
    if (!scope->outside) {
        return;
    }
    buffer_append_text(sql, " OR ");
    compare_sql_append_kept(table, false, true, sql);
    for (size_t g = 0; g < table->group_count; g++) {
        if (view_sql_is_versioned(&table->groups[g])) {
            buffer_append_format(sql, " AND (l).\"%s_event_id\" IS NULL", table->groups[g].name);
        }
    }
}

static void compare_sql_write_wanted(void *context, const struct view_table *table, int group,
                                     int column) {
    struct buffer name = {0};
    struct buffer *sql = context;
    view_sql_append_name(&name, table, group, column);
    const char *n = name.data;
    if (group < 0) {
        buffer_append_format(sql, ", coalesce((l).%s, (s).%s) AS %s", n, n, n);
    } else {
        buffer_append_format(sql, ", CASE WHEN \"KEEP_%d\" THEN (l).%s ELSE (s).%s END AS %s",
                             group, n, n, n);
    }
    buffer_free(&name);
}

/* WITH … wanted AS (one row a key: l, the declared columns as wanted, IN_LIVE, WANTED, KEPT).
 * `source` yields l and s, either of which may be absent. */
static void compare_sql_append_wanted(const struct compare_scope *scope,
                                      const struct view_table *table, const struct buffer *source,
                                      struct buffer *sql) {
    const char *key = table->key[0].name;
    buffer_append_format(sql, "WITH joined AS (SELECT l, s FROM %s), kept AS (SELECT l, s",
                         source->data);
    for (size_t g = 0; g < table->group_count; g++) {
        buffer_append_text(sql, ", ");
        compare_sql_append_keep(scope, &table->groups[g], sql);
        buffer_append_format(sql, " AS \"KEEP_%zu\"", g);
    }
    buffer_append_format(sql,
                         " FROM joined), wanted AS (SELECT l, (l).\"%s\" IS NOT NULL AS "
                         "\"IN_LIVE\", (s).\"%s\" IS NOT NULL OR ",
                         key, key);
    compare_sql_append_lives_on(scope, table, sql);
    buffer_append_text(sql, " AS \"WANTED\", ");
    compare_sql_append_kept(table, true, true, sql);
    buffer_append_text(sql, " AS \"KEPT\"");
    view_sql_columns(table, UINT32_MAX, compare_sql_write_wanted, sql);
    buffer_append_text(sql, " FROM kept) ");
}

/* The live rows (l) and the shadow's (s), in a FULL or LEFT join. */
static void compare_sql_append_join(const struct compare_scope *scope,
                                    const struct view_table *table, const char *join,
                                    struct buffer *sql) {
    buffer_append_format(sql, "%s.\"%s\" l %s JOIN %s.\"%s\" s USING (", scope->live, table->name,
                         join, scope->shadow, table->name);
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, ")");
}

/* The candidates, and rows that either side has written since. */
static void compare_sql_append_recent_source(const struct compare_scope *scope,
                                             const struct view_table *table, const char *since_xid,
                                             struct buffer *source) {
    struct buffer keys = {0};
    compare_sql_append_keys(&keys, table, "");
    const char *k = keys.data, *name = table->name, *shadow = scope->shadow;
    buffer_append_format(source,
                         "(SELECT %s FROM %s.\"candidates_%s\" UNION "
                         "SELECT %s FROM %s.\"%s\" WHERE age(xmin) <= age(xid '%s') UNION "
                         "SELECT %s FROM %s.\"%s\" WHERE age(xmin) <= age(xid '%s')) k "
                         "LEFT JOIN %s.\"%s\" l USING (%s) LEFT JOIN %s.\"%s\" s USING (%s)",
                         k, shadow, name, k, scope->live, name, since_xid, k, shadow, name,
                         since_xid, scope->live, name, k, shadow, name, k);
    buffer_free(&keys);
}

/* ---- differences --------------------------------------------------------------------------- */

static void compare_sql_append_distinct(struct buffer *sql, const struct view_table *table,
                                        int group, int column) {
    struct buffer name = {0};
    view_sql_append_name(&name, table, group, column);
    bool json = column >= 0 && table->groups[group].columns[column].type == VIEW_JSON;
    const char *cast = json ? "::text" : ""; /* json has no equality */
    buffer_append_format(sql, "(l).%s%s IS DISTINCT FROM %s%s", name.data, cast, name.data, cast);
    buffer_free(&name);
}

struct differing {
    struct buffer *sql;
    bool own_versions;
};

/* The column's name if it differs, or, for a version, if anything of its group does. */
static void compare_sql_write_differing(void *context, const struct view_table *table, int group,
                                        int column) {
    const struct differing *differing = context;
    struct buffer *sql = differing->sql;
    if (group < 0) {
        return;
    }
    const struct view_group *declared = &table->groups[group];
    bool with_columns = column < 0 && !differing->own_versions;
    buffer_append_text(sql, ", CASE WHEN ");
    compare_sql_append_distinct(sql, table, group, column);
    for (size_t c = 0; with_columns && c < declared->column_count; c++) {
        buffer_append_text(sql, " OR ");
        compare_sql_append_distinct(sql, table, group, (int)c);
    }
    if (column >= 0) {
        buffer_append_format(sql, " THEN '%s' END", declared->columns[column].name);
    } else {
        buffer_append_format(sql, " THEN '%s_%s' END", declared->name,
                             column == -1 ? "at" : "event_id");
    }
}

static void compare_sql_append_differences(const struct compare_scope *scope,
                                           const struct view_table *table, const char *result,
                                           const struct buffer *source, struct buffer *sql) {
    buffer_append_format(sql, "CREATE UNLOGGED TABLE %s.\"%s_%s\" AS ", scope->shadow, result,
                         table->name);
    compare_sql_append_wanted(scope, table, source, sql);
    buffer_append_text(sql, "SELECT * FROM (SELECT ");
    compare_sql_append_all(sql, table);
    buffer_append_text(sql, ", CASE WHEN NOT \"WANTED\" THEN 'extra' WHEN NOT \"IN_LIVE\" THEN "
                            "'missing' ELSE 'differing' END AS \"KIND\", "
                            "\"IN_LIVE\", \"WANTED\", array_remove(ARRAY[NULL::text");
    struct differing differing = {sql, scope->own_versions};
    view_sql_columns(table, UINT32_MAX, compare_sql_write_differing, &differing);
    buffer_append_text(sql, "], NULL) AS \"COLUMNS\", to_jsonb(l) AS \"LIVE\" FROM wanted) d "
                            "WHERE \"IN_LIVE\" <> \"WANTED\" OR "
                            "\"IN_LIVE\" AND cardinality(\"COLUMNS\") > 0");
}

void compare_sql_all(const struct compare_scope *scope, const struct view_table *table,
                     const char *result, struct buffer *sql) {
    struct buffer source = {0};
    compare_sql_append_join(scope, table, "FULL", &source);
    compare_sql_append_differences(scope, table, result, &source, sql);
    buffer_free(&source);
}

void compare_sql_differences(const struct compare_scope *scope, const struct view_table *table,
                             const char *since_xid, struct buffer *sql) {
    struct buffer source = {0};
    compare_sql_append_recent_source(scope, table, since_xid, &source);
    compare_sql_append_differences(scope, table, "differences", &source, sql);
    buffer_free(&source);
}

/* ---- reading them -------------------------------------------------------------------------- */

void compare_sql_kept(const struct compare_scope *scope, const struct view_table *table,
                      struct buffer *sql) {
    struct buffer source = {0};
    compare_sql_append_join(scope, table, "FULL", &source);
    compare_sql_append_wanted(scope, table, &source, sql);
    buffer_append_text(sql, "SELECT count(*) OVER (), ");
    compare_sql_append_key_text(sql, table);
    buffer_append_text(sql, " FROM wanted WHERE \"KEPT\" ORDER BY ");
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, " LIMIT $1::int8");
    buffer_free(&source);
}

static void compare_sql_append_written_outside(const struct compare_scope *scope,
                                               const struct view_table *table,
                                               const struct view_group *group, struct buffer *sql) {
    const char *n = group->name;
    buffer_append_text(sql, "SELECT DISTINCT ON (");
    compare_sql_append_keys(sql, table, "l.");
    buffer_append_text(sql, ") ");
    compare_sql_append_keys(sql, table, "l.");
    buffer_append_format(sql,
                         ", concat('%s: ', o.topic, '/', o.partition, '/', o.\"offset\", ', ', "
                         "o.handler, ' depends on ', o.rests_on) AS \"FROM\" FROM ",
                         n);
    compare_sql_append_join(scope, table, "LEFT", sql);
    buffer_append_format(sql,
                         " JOIN %s.outside_events o ON o.event_id = (l).\"%s_event_id\" AND o.at "
                         "= (l).\"%s_at\" WHERE ",
                         scope->shadow, n, n);
    compare_sql_append_wins(group, sql);
}

static void compare_sql_append_kept_extreme(const struct compare_scope *scope,
                                            const struct view_table *table,
                                            const struct view_group *group, struct buffer *sql) {
    buffer_append_text(sql, "SELECT ");
    compare_sql_append_keys(sql, table, "l.");
    buffer_append_format(sql, ", '%s: the %s is not in the log' FROM ", group->name,
                         view_rule_name(group->rule));
    compare_sql_append_join(scope, table, "LEFT", sql);
    buffer_append_text(sql, " WHERE ");
    compare_sql_append_wins(group, sql);
}

void compare_sql_outside(const struct compare_scope *scope, const struct view_table *table,
                         struct buffer *sql) {
    buffer_append_text(sql, "SELECT count(*) OVER (), ");
    compare_sql_append_key_text(sql, table);
    buffer_append_text(sql, ", string_agg(\"FROM\", '; ' ORDER BY \"FROM\") FROM (SELECT ");
    compare_sql_append_keys(sql, table, "");
    buffer_append_format(sql, ", NULL AS \"FROM\" FROM %s.\"%s\" WHERE false", scope->live,
                         table->name);
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        buffer_append_text(sql, " UNION ALL (");
        (view_sql_is_versioned(group) ? compare_sql_append_written_outside
                                      : compare_sql_append_kept_extreme)(scope, table, group, sql);
        buffer_append_text(sql, ")");
    }
    buffer_append_text(sql, ") w GROUP BY ");
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, " ORDER BY ");
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, " LIMIT $1::int8");
}

void compare_sql_counts(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql) {
    buffer_append_format(sql,
                         "SELECT \"KIND\", count(*) FROM %s.\"differences_%s\" "
                         "GROUP BY 1 ORDER BY 1",
                         scope->shadow, table->name);
}

static void compare_sql_append_versions(struct buffer *sql, const struct view_table *table) {
    buffer_append_text(sql, "'{}'::text[]");
    for (size_t g = 0; g < table->group_count; g++) {
        if (view_sql_is_versioned(&table->groups[g])) {
            const char *name = table->groups[g].name;
            buffer_append_format(sql, " || '%s_at'::text || '%s_event_id'::text", name, name);
        }
    }
}

void compare_sql_report(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql) {
    buffer_append_text(sql, "SELECT \"KIND\", ");
    compare_sql_append_key_text(sql, table);
    buffer_append_text(sql, ", c, \"LIVE\" ->> c, to_jsonb(d) ->> c FROM (SELECT * FROM ");
    buffer_append_format(sql, "%s.\"differences_%s\" ORDER BY ", scope->shadow, table->name);
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, " LIMIT $1::int8) d LEFT JOIN LATERAL unnest(\"COLUMNS\") WITH "
                            "ORDINALITY AS u (c, n) ON \"KIND\" = 'differing' OR c = ANY (");
    compare_sql_append_versions(sql, table);
    buffer_append_text(sql, ") ORDER BY ");
    compare_sql_append_keys(sql, table, "d.");
    buffer_append_text(sql, ", n");
}

/* Numbers the rows with the same `of`, by key. */
static void compare_sql_append_places(struct buffer *sql, const struct view_table *table,
                                      const char *of) {
    buffer_append_format(sql,
                         "count(*) OVER (PARTITION BY %s) AS \"COUNT\", row_number() OVER "
                         "(PARTITION BY %s ORDER BY ",
                         of, of);
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, ") AS \"PLACE\", ");
    compare_sql_append_key_text(sql, table);
    buffer_append_text(sql, " AS \"KEY\"");
}

void compare_sql_rows(const struct compare_scope *scope, const struct view_table *table,
                      struct buffer *sql) {
    buffer_append_text(sql, "SELECT \"KIND\", \"COUNT\", \"KEY\" FROM (SELECT \"KIND\", ");
    compare_sql_append_places(sql, table, "\"KIND\"");
    buffer_append_format(sql,
                         " FROM %s.\"differences_%s\") d WHERE \"PLACE\" <= $1::int8 "
                         "ORDER BY \"KIND\", \"PLACE\"",
                         scope->shadow, table->name);
}

/* Reads values only for the rows that are shown. */
void compare_sql_columns(const struct compare_scope *scope, const struct view_table *table,
                         struct buffer *sql) {
    buffer_append_format(sql,
                         "SELECT \"C\", \"COUNT\", \"KEY\", left((\"D\").\"LIVE\" ->> \"C\", %d), "
                         "left(to_jsonb(\"D\") ->> \"C\", %d) FROM (SELECT \"C\", \"D\", ",
                         VALUE_MAX_CHARACTERS, VALUE_MAX_CHARACTERS);
    compare_sql_append_places(sql, table, "\"C\"");
    buffer_append_format(sql,
                         " FROM %s.\"differences_%s\" \"D\" CROSS JOIN LATERAL unnest(\"COLUMNS\") "
                         "AS u (\"C\") WHERE \"KIND\" = 'differing') x "
                         "WHERE \"PLACE\" <= $1::int8 ORDER BY \"COUNT\" DESC, \"C\", \"PLACE\"",
                         scope->shadow, table->name);
}

struct ids {
    struct buffer *out;
    enum view_type type;
    const char *prefix;
};

static void compare_sql_write_ids(void *context, const struct view_table *table, int group,
                                  int column) {
    struct ids *ids = context;
    if (column < 0) {
        return;
    }
    const struct view_column *declared =
        group < 0 ? &table->key[column] : &table->groups[group].columns[column];
    if (declared->type == ids->type && ids->type == VIEW_TEXT) {
        buffer_append_format(ids->out, ", %s.\"%s\"", ids->prefix, declared->name);
    } else if (declared->type == ids->type) {
        buffer_append_format(ids->out, " || coalesce(%s.\"%s\", '{}')", ids->prefix,
                             declared->name);
    }
}

void compare_sql_ids(const struct compare_scope *scope, const struct view_table *table,
                     struct buffer *sql) {
    static const char *const sides[] = {"d", "t"};
    buffer_append_format(
        sql, "SELECT DISTINCT id FROM %s.\"differences_%s\" d LEFT JOIN %s.\"%s\" t ON ",
        scope->shadow, table->name, scope->live, table->name);
    compare_sql_append_keys_equal(sql, table);
    buffer_append_text(sql, " CROSS JOIN LATERAL unnest(ARRAY[NULL::text");
    for (int side = 0; side < 2; side++) {
        struct ids ids = {sql, VIEW_TEXT, sides[side]};
        view_sql_columns(table, UINT32_MAX, compare_sql_write_ids, &ids);
    }
    buffer_append_text(sql, "]");
    for (int side = 0; side < 2; side++) {
        struct ids ids = {sql, VIEW_TEXTS, sides[side]};
        view_sql_columns(table, UINT32_MAX, compare_sql_write_ids, &ids);
    }
    buffer_append_text(sql, ") id WHERE id IS NOT NULL");
}

/* ---- the repair ---------------------------------------------------------------------------- */

void compare_sql_delete(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql) {
    buffer_append_format(sql,
                         "DELETE FROM %s.\"%s\" t USING %s.\"differences_%s\" d "
                         "WHERE d.\"KIND\" = 'extra' AND ",
                         scope->live, table->name, scope->shadow, table->name);
    compare_sql_append_keys_equal(sql, table);
}

static void compare_sql_write_replaced(void *context, const struct view_table *table, int group,
                                       int column) {
    struct list *list = context;
    if (group < 0) {
        return;
    }
    buffer_append_text(list->out, list->number++ ? ", " : " DO UPDATE SET ");
    view_sql_append_name(list->out, table, group, column);
    buffer_append_text(list->out, " = EXCLUDED.");
    view_sql_append_name(list->out, table, group, column);
}

void compare_sql_upsert(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql) {
    buffer_append_format(sql, "INSERT INTO %s.\"%s\" (", scope->live, table->name);
    compare_sql_append_all(sql, table);
    buffer_append_text(sql, ") SELECT ");
    compare_sql_append_all(sql, table);
    buffer_append_format(sql, " FROM %s.\"differences_%s\" WHERE \"KIND\" <> 'extra' ORDER BY ",
                         scope->shadow, table->name);
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, " ON CONFLICT (");
    compare_sql_append_keys(sql, table, "");
    buffer_append_text(sql, ")");
    struct list list = {sql, "", 0};
    view_sql_columns(table, UINT32_MAX, compare_sql_write_replaced, &list);
}
