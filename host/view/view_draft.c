#include "view_draft.h"

#include <string.h>

#include "bindings/pg.h"
#include "view_sql.h"
#include "view/view_draft.sql.h"

struct draft {
    struct buffer *sql;
    const struct pg_result *columns; /* of the database's table */
    struct buffer undo;              /* what takes the table's ALTER back */
    int added;
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
    buffer_append_format(
        sql, "\"%s\" integer GENERATED ALWAYS AS (coalesce(cardinality(\"%s\"), 0)) STORED",
        column->name, column->stored);
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
    while (row >= 0 && strcmp(pg_rows_text(draft->columns, row, 0), name) != 0) {
        row--;
    }
    return row;
}

static void view_draft_drop(struct draft *draft, const char *name) {
    buffer_append_format(&draft->undo, "%s DROP COLUMN \"%s\"", draft->added++ ? "," : "", name);
}

static void view_draft_look(void *context, const struct view_table *table, int group, int column) {
    struct draft *draft = context;
    const struct view_column *computed = view_draft_computed(table, group, column);
    const char *want = view_sql_type_of(table, group, column);
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    int row = view_draft_find(draft, name);
    if (computed && view_draft_find(draft, computed->name) < 0) {
        view_draft_drop(draft, computed->name); /* before the one that it is computed of */
    }
    if (row < 0) {
        view_draft_drop(draft, name);
    } else if (strcmp(pg_rows_text(draft->columns, row, 1), want) != 0) {
        buffer_append_format(draft->sql, "\n-- \"%s\".\"%s\" is %s; the view declares it as %s.\n",
                             table->name, name, pg_rows_text(draft->columns, row, 1), want);
    }
}

static void view_draft_add(struct draft *draft) {
    buffer_append_text(draft->sql, draft->added++ ? ",\n  ADD COLUMN " : "\n  ADD COLUMN ");
}

static void view_draft_add_column(void *context, const struct view_table *table, int group,
                                  int column) {
    struct draft *draft = context;
    const struct view_column *computed = view_draft_computed(table, group, column);
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    if (view_draft_find(draft, name) < 0) {
        view_draft_add(draft);
        view_draft_append_column(draft->sql, table, group, column);
    }
    if (computed && view_draft_find(draft, computed->name) < 0) {
        view_draft_add(draft);
        view_draft_append_computed(draft->sql, computed);
    }
}

static void view_draft_alter(struct draft *draft, const struct view_table *table) {
    view_sql_columns(table, UINT32_MAX, view_draft_look, draft);
    if (draft->added > 0) {
        buffer_append_format(draft->sql, "\n-- undo: ALTER TABLE \"%s\"%s;\nALTER TABLE \"%s\"",
                             table->name, draft->undo.data, table->name);
        draft->added = 0;
        view_sql_columns(table, UINT32_MAX, view_draft_add_column, draft);
        buffer_append_text(draft->sql, ";\n");
    }
    buffer_free(&draft->undo);
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
