#include "view_sql.h"

#include "bindings/pg.h"

/* ---- columns: one order for SQL and parameters ---------------------------------------------- */

bool view_sql_is_versioned(const struct view_group *group) {
    return group->rule == VIEW_FIRST || group->rule == VIEW_LATEST;
}

const struct view_column *view_sql_column_at(const struct view_table *table, int group,
                                             int column) {
    return group < 0 ? &table->key[column] : &table->groups[group].columns[column];
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

void view_sql_append_name(struct buffer *out, const struct view_table *table, int group,
                          int column) {
    if (column >= 0) {
        buffer_append_format(out, "\"%s\"", view_sql_column_at(table, group, column)->name);
    } else if (group >= 0) {
        buffer_append_format(out, "\"%s_%s\"", table->groups[group].name,
                             column == -1 ? "at" : "event_id");
    }
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
    case VIEW_DOUBLE:
        return PG_ARRAY_FLOAT8;
    case VIEW_BOOLEAN:
        return PG_ARRAY_BOOL;
    case VIEW_TIMESTAMP:
        return PG_ARRAY_TIMESTAMPTZ;
    case VIEW_CONTENT:
        return PG_ARRAY_UUID;
    default:
        return PG_ARRAY_TEXT; /* lists, json and enums: text, which the SELECT casts */
    }
}

static bool view_sql_is_cast(enum view_type type) {
    return type == VIEW_TEXTS || type == VIEW_INTEGERS || type == VIEW_DOUBLES ||
           type == VIEW_JSON || type == VIEW_ENUM;
}

static const char *view_sql_array_sql(enum pg_array type) {
    static const char *const names[] = {
        [PG_ARRAY_TEXT] = "text[]", [PG_ARRAY_INT4] = "int4[]",
        [PG_ARRAY_INT8] = "int8[]", [PG_ARRAY_FLOAT8] = "float8[]",
        [PG_ARRAY_BOOL] = "bool[]", [PG_ARRAY_TIMESTAMPTZ] = "timestamptz[]",
        [PG_ARRAY_UUID] = "uuid[]", [PG_ARRAY_BYTEA] = "bytea[]",
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

/* The condition under which the incoming group replaces the stored one. */
static void view_sql_append_wins(struct buffer *sql, const struct view_group *group) {
    bool smaller = group->rule == VIEW_FIRST || group->rule == VIEW_MIN;
    const char *sign = smaller ? "<" : ">";
    const char *n = group->name;
    if (view_sql_is_versioned(group)) {
        buffer_append_format(sql,
                             "(EXCLUDED.\"%s_at\" IS NOT NULL AND (t.\"%s_at\" IS NULL OR "
                             "(EXCLUDED.\"%s_at\", EXCLUDED.\"%s_event_id\") %s "
                             "(t.\"%s_at\", t.\"%s_event_id\")))",
                             n, n, n, n, sign, n, n);
    } else {
        const char *c = group->columns[0].name;
        /* By bytes, as merge_value_less, whatever the database's collation. */
        const char *order = group->columns[0].type == VIEW_TEXT ? " COLLATE \"C\"" : "";
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
    buffer_append_text(setter->out, "EXCLUDED.");
    view_sql_append_name(setter->out, table, group, column);
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
    } else if (type == VIEW_INTEGER || type == VIEW_BOOLEAN) {
        pg_array_int(params, value->as.integer);
    } else {
        pg_array_bytes(params, value->as.text);
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
