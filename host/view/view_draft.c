#include "view_draft.h"

#include <string.h>

#include "bindings/pg.h"
#include "view_sql.h"
#include "view/view_draft.sql.h"

enum { NAME, TYPE, COMPUTED }; /* columns_sql */

struct draft {
    struct buffer *sql;
    const struct pg_result *columns; /* of the database's table */
    struct buffer undo, alter;       /* the actions of the table's ALTER, and what takes it back */
};

static void view_draft_append_column(struct buffer *sql, const struct view_table *table, int group,
                                     int column) {
    view_sql_append_name(sql, table, group, column);
    buffer_append_format(sql, " %s", view_sql_type_of(table, group, column));
    if (column >= 0 && view_sql_column_at(table, group, column)->is_id) {
        buffer_append_text(sql, " COLLATE \"C\""); /* compared byte by byte, as in the program */
    }
}

/* The column of a group with the rule count, which Postgres computes; NULL: another one. */
static const struct view_column *view_draft_computed(const struct view_table *table, int group,
                                                     int column) {
    const struct view_column *declared =
        column < 0 ? NULL : view_sql_column_at(table, group, column);
    return declared && declared->stored ? declared : NULL;
}

static void view_draft_append_computed(struct buffer *sql, const struct view_column *column) {
    buffer_append_format(sql, "\"%s\" " VIEW_SQL_COMPUTED, column->name, column->stored);
}

/* Which index finds the rows that have an item. */
static void view_draft_append_hints(struct buffer *sql, const struct view_table *table) {
    for (size_t g = 0; g < table->group_count; g++) {
        if (table->groups[g].rule == VIEW_SET) {
            buffer_append_format(sql,
                                 "-- to find rows by an item: CREATE INDEX ON \"%s\" USING gin "
                                 "(\"%s\");\n",
                                 table->name, table->groups[g].columns[0].name);
        }
    }
}

/* ---- a table -------------------------------------------------------------------------------- */

static void view_draft_create_column(void *context, const struct view_table *table, int group,
                                     int column) {
    struct draft *draft = context;
    buffer_append_text(draft->sql, "  ");
    view_draft_append_column(draft->sql, table, group, column);
    buffer_append_text(draft->sql, ",\n");
    const struct view_column *computed = view_draft_computed(table, group, column);
    if (computed) {
        buffer_append_text(draft->sql, "  ");
        view_draft_append_computed(draft->sql, computed);
        buffer_append_text(draft->sql, ",\n");
    }
}

/* fillfactor: an update of a row whose indexed columns stay needs no new index entries while its
 * page has room. */
static void view_draft_create(struct draft *draft, const struct view_table *table) {
    buffer_append_format(draft->sql, "\n-- undo: DROP TABLE \"%s\";\nCREATE TABLE \"%s\" (\n",
                         table->name, table->name);
    view_sql_columns(table, UINT32_MAX, view_draft_create_column, draft);
    buffer_append_text(draft->sql, "  PRIMARY KEY (");
    for (size_t i = 0; i < table->key_count; i++) {
        buffer_append_format(draft->sql, "%s\"%s\"", i ? ", " : "", table->key[i].name);
    }
    buffer_append_text(draft->sql, ")\n) WITH (fillfactor = 85);\n");
    view_draft_append_hints(draft->sql, table);
}

/* ---- columns of a table --------------------------------------------------------------------- */

static int view_draft_find(const struct draft *draft, const char *name) {
    int row = pg_rows_count(draft->columns) - 1;
    while (row >= 0 && strcmp(pg_rows_text(draft->columns, row, NAME), name) != 0) {
        row--;
    }
    return row;
}

static void view_draft_begin_action(struct buffer *actions, const char *separator) {
    buffer_append_text(actions, actions->len > 0 ? "," : "");
    buffer_append_text(actions, separator);
}

static void view_draft_drop(struct buffer *actions, const char *separator, const char *name) {
    view_draft_begin_action(actions, separator);
    buffer_append_format(actions, "DROP COLUMN \"%s\"", name);
}

/* The undo of a column that is dropped or changed: it is dropped, and added as it was. */
static void view_draft_restore(struct draft *draft, int row) {
    const char *name = pg_rows_text(draft->columns, row, NAME);
    const char *computed = pg_rows_text(draft->columns, row, COMPUTED);
    view_draft_drop(&draft->undo, " ", name);
    buffer_append_format(&draft->undo, ", ADD COLUMN \"%s\" %s", name,
                         pg_rows_text(draft->columns, row, TYPE));
    if (computed[0]) {
        buffer_append_format(&draft->undo, " GENERATED ALWAYS AS (%s) STORED", computed);
    }
}

static bool view_draft_has_computed(const struct draft *draft, const struct view_column *column) {
    int row = view_draft_find(draft, column->name);
    return row >= 0 && view_sql_is_computed(column, pg_rows_text(draft->columns, row, TYPE),
                                            pg_rows_text(draft->columns, row, COMPUTED));
}

/* Before the column that it is computed of, which the undo drops after it. */
static void view_draft_look_computed(struct draft *draft, const struct view_table *table,
                                     const struct view_column *column) {
    int row = view_draft_find(draft, column->name);
    if (row < 0) {
        view_draft_drop(&draft->undo, " ", column->name);
    } else if (!view_draft_has_computed(draft, column)) {
        buffer_append_format(
            draft->sql,
            "\n-- \"%s\".\"%s\" is dropped with its values, and added as the number of items of "
            "\"%s\".\n-- After `aggregator migrate`, `aggregator rebuild` gives it what the log "
            "says.\n",
            table->name, column->name, column->stored);
        view_draft_drop(&draft->alter, "\n  ", column->name);
        view_draft_restore(draft, row);
    }
}

static void view_draft_look(void *context, const struct view_table *table, int group, int column) {
    struct draft *draft = context;
    const struct view_column *computed = view_draft_computed(table, group, column);
    const char *want = view_sql_type_of(table, group, column);
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    int row = view_draft_find(draft, name);
    if (computed) {
        view_draft_look_computed(draft, table, computed);
    }
    if (row < 0) {
        view_draft_drop(&draft->undo, " ", name);
    } else if (strcmp(pg_rows_text(draft->columns, row, TYPE), want) != 0) {
        buffer_append_format(
            draft->sql,
            "\n-- \"%s\".\"%s\" is %s; the view declares it as %s. Yours to write, "
            "if the values can be kept:\n-- ALTER TABLE \"%s\" ALTER COLUMN \"%s\" "
            "TYPE %s USING \"%s\"::%s;\n",
            table->name, name, pg_rows_text(draft->columns, row, TYPE), want, table->name, name,
            want, name, want);
    } else if (pg_rows_text(draft->columns, row, COMPUTED)[0]) {
        view_draft_begin_action(&draft->alter, "\n  ");
        buffer_append_format(&draft->alter, "ALTER COLUMN \"%s\" DROP EXPRESSION", name);
        view_draft_restore(draft, row);
    }
}

static void view_draft_add_column(void *context, const struct view_table *table, int group,
                                  int column) {
    struct draft *draft = context;
    const struct view_column *computed = view_draft_computed(table, group, column);
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    if (view_draft_find(draft, name) < 0) {
        view_draft_begin_action(&draft->alter, "\n  ADD COLUMN ");
        view_draft_append_column(&draft->alter, table, group, column);
    }
    if (computed && !view_draft_has_computed(draft, computed)) {
        view_draft_begin_action(&draft->alter, "\n  ADD COLUMN ");
        view_draft_append_computed(&draft->alter, computed);
    }
}

static void view_draft_alter(struct draft *draft, const struct view_table *table) {
    view_sql_columns(table, UINT32_MAX, view_draft_look, draft);
    view_sql_columns(table, UINT32_MAX, view_draft_add_column, draft);
    if (draft->alter.len > 0) {
        buffer_append_format(draft->sql,
                             "\n-- undo: ALTER TABLE \"%s\"%s;\nALTER TABLE \"%s\"%s;\n",
                             table->name, draft->undo.data, table->name, draft->alter.data);
    }
    buffer_free(&draft->undo);
    buffer_free(&draft->alter);
}

bool view_draft_append(struct pg *pg, const struct view *view, int timeout_ms, struct buffer *sql,
                       struct err *err) {
    struct pg_params *params = pg_params_create();
    bool ok = true;
    for (size_t i = 0; ok && i < view->table_count; i++) {
        struct pg_result *columns = NULL;
        pg_params_reset(params);
        pg_params_add_text(params, slice_of(view->tables[i].name));
        ok = pg_query(pg, "view_draft", columns_sql, params, timeout_ms, &columns, err);
        struct draft draft = {.sql = sql, .columns = columns};
        if (ok && pg_rows_count(columns) == 0) {
            view_draft_create(&draft, &view->tables[i]);
        } else if (ok) {
            view_draft_alter(&draft, &view->tables[i]);
        }
        pg_rows_free(columns);
    }
    pg_params_destroy(params);
    return ok;
}
