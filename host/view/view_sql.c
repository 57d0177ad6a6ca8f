#include "view_sql.h"

#include <stdio.h>

#include "bindings/pg.h"

/* ---- columns: one order for SQL and parameters ---------------------------------------------- */

bool view_sql_is_versioned(const struct view_group *group) {
    return group->rule == VIEW_FIRST || group->rule == VIEW_LATEST;
}

const struct view_column *view_sql_column_at(const struct view_table *table, int group,
                                             int column) {
    return group < 0 ? &table->key[column] : &table->groups[group].columns[column];
}

const char *view_sql_stored_name(const struct view_column *column) {
    return column->stored ? column->stored : column->name;
}

void view_sql_columns(const struct view_table *table, uint32_t groups, view_sql_visit visit,
                      void *context) {
    for (size_t i = 0; i < table->key_count; i++) {
        visit(context, table, -1, (int)i);
    }
    for (size_t g = 0; g < table->group_count; g++) {
        if (!(groups & (1u << g))) {
            continue;
        }
        if (view_sql_is_versioned(&table->groups[g])) {
            visit(context, table, (int)g, -1);
            visit(context, table, (int)g, -2);
        }
        for (size_t c = 0; c < table->groups[g].column_count; c++) {
            visit(context, table, (int)g, (int)c);
        }
    }
}

void view_sql_name(char name[VIEW_SQL_NAME_CAP], const struct view_table *table, int group,
                   int column) {
    if (column >= 0) {
        snprintf(name, VIEW_SQL_NAME_CAP, "%s",
                 view_sql_stored_name(view_sql_column_at(table, group, column)));
    } else {
        snprintf(name, VIEW_SQL_NAME_CAP, "%s_%s", table->groups[group].name,
                 column == -1 ? "at" : "event_id");
    }
}

void view_sql_append_name(struct buffer *out, const struct view_table *table, int group,
                          int column) {
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    buffer_append_format(out, "\"%s\"", name);
}

bool view_sql_is_computed(const struct view_column *column, const char *type,
                          const char *expression) {
    char plain[VIEW_SQL_NAME_CAP + 32],
        quoted[VIEW_SQL_NAME_CAP + 32]; /* as pg_get_expr writes it */
    snprintf(plain, sizeof plain, "COALESCE(cardinality(%s), 0)", column->stored);
    snprintf(quoted, sizeof quoted, "COALESCE(cardinality(\"%s\"), 0)", column->stored);
    return strcmp(type, "integer") == 0 &&
           (strcmp(expression, plain) == 0 || strcmp(expression, quoted) == 0);
}

const char *view_sql_type_of(const struct view_table *table, int group, int column) {
    static const char time[] = "timestamp with time zone";
    if (column < 0) {
        return column == -1 ? time : "uuid";
    }
    const char *declared = view_sql_column_at(table, group, column)->sql_type;
    return strcmp(declared, "timestamptz") == 0 ? time : declared;
}

static enum pg_array view_sql_array_of(enum view_type type) {
    switch (type) {
    case VIEW_INTEGER:
        return PG_ARRAY_INT4;
    case VIEW_BIGINT:
        return PG_ARRAY_INT8;
    case VIEW_DATE:
        return PG_ARRAY_DATE;
    case VIEW_DOUBLE:
        return PG_ARRAY_FLOAT8;
    case VIEW_BOOLEAN:
        return PG_ARRAY_BOOL;
    case VIEW_TIMESTAMP:
        return PG_ARRAY_TIMESTAMPTZ;
    case VIEW_UUID:
    case VIEW_CONTENT:
        return PG_ARRAY_UUID;
    default:
        return PG_ARRAY_TEXT; /* lists, json and enums: text, which the SELECT casts */
    }
}

static bool view_sql_is_cast(enum view_type type) {
    return view_item_type(type) != type || type == VIEW_JSON || type == VIEW_ENUM;
}

static const char *view_sql_array_sql(enum pg_array type) {
    static const char *const names[] = {
        [PG_ARRAY_TEXT] = "text[]",   [PG_ARRAY_INT4] = "int4[]",
        [PG_ARRAY_INT8] = "int8[]",   [PG_ARRAY_FLOAT8] = "float8[]",
        [PG_ARRAY_BOOL] = "bool[]",   [PG_ARRAY_TIMESTAMPTZ] = "timestamptz[]",
        [PG_ARRAY_DATE] = "date[]",   [PG_ARRAY_UUID] = "uuid[]",
        [PG_ARRAY_BYTEA] = "bytea[]",
    };
    return names[type];
}

static enum pg_array view_sql_array_at(const struct view_table *table, int group, int column) {
    if (column < 0) {
        return column == -1 ? PG_ARRAY_TIMESTAMPTZ : PG_ARRAY_UUID;
    }
    return view_sql_array_of(view_sql_column_at(table, group, column)->type);
}

/* ---- the statement ------------------------------------------------------------------------ */

struct writer {
    struct buffer *out;
    int number; /* of the next column, from 0 */
};

static void view_sql_separate(struct writer *writer) {
    if (writer->number++ > 0) {
        buffer_append_text(writer->out, ", ");
    }
}

static void view_sql_write_name(void *context, const struct view_table *table, int group,
                                int column) {
    struct writer *writer = context;
    view_sql_separate(writer);
    view_sql_append_name(writer->out, table, group, column);
}

static void view_sql_write_selected(void *context, const struct view_table *table, int group,
                                    int column) {
    struct writer *writer = context;
    view_sql_separate(writer);
    view_sql_append_name(writer->out, table, group, column);
    if (column >= 0 && view_sql_is_cast(view_sql_column_at(table, group, column)->type)) {
        buffer_append_format(writer->out, "::%s",
                             view_sql_column_at(table, group, column)->sql_type);
    }
}

static void view_sql_write_array(void *context, const struct view_table *table, int group,
                                 int column) {
    struct writer *writer = context;
    view_sql_separate(writer);
    buffer_append_format(writer->out, "unnest($%d::%s) AS ", writer->number,
                         view_sql_array_sql(view_sql_array_at(table, group, column)));
    view_sql_append_name(writer->out, table, group, column);
}

static void view_sql_write_list(const struct view_table *table, uint32_t groups,
                                view_sql_visit visit, struct buffer *sql) {
    struct writer writer = {sql, 0};
    view_sql_columns(table, groups, visit, &writer);
}

/* Texts compare by bytes, as in memory, whatever the database's collation. */
static const char *view_sql_collation(enum view_type type) {
    return type == VIEW_TEXT ? " COLLATE \"C\"" : "";
}

void view_sql_append_union(struct buffer *sql, const struct view_group *group, const char *one,
                           const char *other) {
    const char *order = view_sql_collation(view_item_type(group->columns[0].type));
    buffer_append_format(sql,
                         "ARRAY(SELECT DISTINCT x%s FROM unnest(%s || %s) AS x ORDER BY 1 LIMIT "
                         "%zu)",
                         order, one, other, group->limit);
}

/* An item is missing that is among the least of the union. It may be one that is there already, of
 * a set that is full: then the same is written again. */
static void view_sql_append_adds(struct buffer *sql, const struct view_group *group) {
    const char *c = view_sql_stored_name(&group->columns[0]);
    const char *order = view_sql_collation(view_item_type(group->columns[0].type));
    buffer_append_format(sql,
                         "(EXCLUDED.\"%s\" IS NOT NULL AND (t.\"%s\" IS NULL OR "
                         "NOT EXCLUDED.\"%s\" <@ t.\"%s\" AND (cardinality(t.\"%s\") < %zu OR "
                         "EXCLUDED.\"%s\"[1]%s < t.\"%s\"[%zu])))",
                         c, c, c, c, c, group->limit, c, order, c, group->limit);
}

/* The condition under which the incoming group replaces the stored one, or adds to it. */
static void view_sql_append_wins(struct buffer *sql, const struct view_group *group) {
    bool smaller = group->rule == VIEW_FIRST || group->rule == VIEW_MIN;
    const char *sign = smaller ? "<" : ">";
    const char *n = group->name;
    if (view_is_set(group)) {
        view_sql_append_adds(sql, group);
    } else if (view_sql_is_versioned(group)) {
        buffer_append_format(sql,
                             "(EXCLUDED.\"%s_at\" IS NOT NULL AND (t.\"%s_at\" IS NULL OR "
                             "(EXCLUDED.\"%s_at\", EXCLUDED.\"%s_event_id\") %s "
                             "(t.\"%s_at\", t.\"%s_event_id\")))",
                             n, n, n, n, sign, n, n);
    } else {
        const char *c = group->columns[0].name;
        const char *order = view_sql_collation(group->columns[0].type);
        buffer_append_format(sql,
                             "(EXCLUDED.\"%s\" IS NOT NULL AND (t.\"%s\" IS NULL OR "
                             "EXCLUDED.\"%s\"%s %s t.\"%s\"))",
                             c, c, c, order, sign, c);
    }
}

struct setter {
    struct buffer *out;
    int number;
    bool only_group; /* the WHERE clause is its condition */
};

/* What the column has after the update. */
static void view_sql_write_new(struct buffer *sql, const struct view_table *table, int group,
                               int column) {
    if (view_is_set(&table->groups[group])) {
        const char *name = view_sql_stored_name(&table->groups[group].columns[column]);
        char held[96], added[96];
        snprintf(held, sizeof held, "t.\"%s\"", name);
        snprintf(added, sizeof added, "EXCLUDED.\"%s\"", name);
        view_sql_append_union(sql, &table->groups[group], held, added);
    } else {
        buffer_append_text(sql, "EXCLUDED.");
        view_sql_append_name(sql, table, group, column);
    }
}

static void view_sql_write_set(void *context, const struct view_table *table, int group,
                               int column) {
    struct setter *setter = context;
    if (group < 0) {
        return;
    }
    buffer_append_text(setter->out, setter->number++ ? ", " : "");
    view_sql_append_name(setter->out, table, group, column);
    buffer_append_text(setter->out, " = ");
    if (!setter->only_group) {
        buffer_append_text(setter->out, "CASE WHEN ");
        view_sql_append_wins(setter->out, &table->groups[group]);
        buffer_append_text(setter->out, " THEN ");
    }
    view_sql_write_new(setter->out, table, group, column);
    if (!setter->only_group) {
        buffer_append_text(setter->out, " ELSE t.");
        view_sql_append_name(setter->out, table, group, column);
        buffer_append_text(setter->out, " END");
    }
}

void view_sql_upsert(const struct view_table *table, uint32_t groups, struct buffer *sql) {
    buffer_append_format(sql, "INSERT INTO \"%s\" AS t (", table->name);
    view_sql_write_list(table, groups, view_sql_write_name, sql);
    buffer_append_text(sql, ") SELECT ");
    view_sql_write_list(table, groups, view_sql_write_selected, sql);
    buffer_append_text(sql, " FROM (SELECT ");
    view_sql_write_list(table, groups, view_sql_write_array, sql);
    buffer_append_text(sql, ") AS u ON CONFLICT (");
    view_sql_write_list(table, 0, view_sql_write_name, sql);
    buffer_append_text(sql, ") DO UPDATE SET ");
    struct setter setter = {sql, 0, (groups & (groups - 1)) == 0};
    view_sql_columns(table, groups, view_sql_write_set, &setter);
    buffer_append_text(sql, " WHERE ");
    const char *joint = "";
    for (size_t g = 0; g < table->group_count; g++) {
        if (groups & (1u << g)) {
            buffer_append_text(sql, joint);
            view_sql_append_wins(sql, &table->groups[g]);
            joint = " OR ";
        }
    }
}

/* ---- the parameters ----------------------------------------------------------------------- */

uint32_t view_sql_groups(const struct view_table *table, struct merge_row *const *rows,
                         size_t count) {
    uint32_t groups = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t g = 0; g < table->group_count; g++) {
            groups |= (uint32_t)rows[i]->groups[g].present << g;
        }
    }
    return groups;
}

struct filler {
    struct merge_row *const *rows;
    size_t count;
    struct pg_params *params;
};

static void view_sql_add_value(struct pg_params *params, enum view_type type,
                               const struct view_value *value) {
    if (value->is_null) {
        pg_array_null(params);
    } else if (type == VIEW_DOUBLE) {
        pg_array_float8(params, value->as.number);
    } else if (type == VIEW_TIMESTAMP) {
        pg_array_timestamp(params, value->as.integer);
    } else if (type == VIEW_DATE) {
        pg_array_date(params, value->as.integer);
    } else if (view_is_bytes(type)) {
        pg_array_bytes(params, value->as.text);
    } else {
        pg_array_int(params, value->as.integer);
    }
}

static void view_sql_fill_group_cell(struct pg_params *params, const struct view_table *table,
                                     int group, int column, const struct merge_group_value *held) {
    if (!held->present) {
        pg_array_null(params);
    } else if (column == -1) {
        pg_array_timestamp(params, held->version.at_us);
    } else if (column == -2) {
        pg_array_bytes(params, (struct slice){(const char *)held->version.event_id, 16});
    } else {
        view_sql_add_value(params, table->groups[group].columns[column].type,
                           &held->values[column]);
    }
}

static void view_sql_fill_column(void *context, const struct view_table *table, int group,
                                 int column) {
    struct filler *filler = context;
    pg_array_begin(filler->params, view_sql_array_at(table, group, column));
    for (size_t i = 0; i < filler->count; i++) {
        const struct merge_row *row = filler->rows[i];
        if (group < 0) {
            view_sql_add_value(filler->params, table->key[column].type, &row->key[column]);
        } else {
            view_sql_fill_group_cell(filler->params, table, group, column, &row->groups[group]);
        }
    }
    pg_array_end(filler->params);
}

void view_sql_params(const struct view_table *table, uint32_t groups, struct merge_row *const *rows,
                     size_t count, struct pg_params *params) {
    struct filler filler = {rows, count, params};
    pg_params_reset(params);
    view_sql_columns(table, groups, view_sql_fill_column, &filler);
}
