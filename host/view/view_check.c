#include "view_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bindings/pg.h"
#include "base/nearest.h"
#include "base/problems.h"
#include "view_sql.h"
#include "view/view_check.sql.h"

#define MAX_TYPES 128
#define REMEDY                                                                                     \
    "run `aggregator migrate`, after `aggregator new migration NAME` if no migration makes it, "   \
    "or correct scripts/view.lua"
#define REMEDY_TYPE                                                                                  \
    "run `aggregator migrate`, after a migration of your own with ALTER TABLE … ALTER COLUMN … " \
    "TYPE … if none has it, or correct scripts/view.lua"

enum { NAME, TYPE, COMPUTED, IS_REQUIRED }; /* columns_sql */

struct checker {
    struct pg *pg;
    struct pg_params *params;
    int timeout_ms;
    view_problem problem;
    void *context;
    const struct view_table *table;
    const struct pg_result *columns; /* of the database's table */
    struct pg_result *enums;         /* NULL: not read yet */
    struct err *err;
    bool failed; /* a query failed */
};

__attribute__((format(printf, 3, 4))) static void
view_check_report(const struct checker *checker, const char *column, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checker->problem(checker->context, checker->table->name, column, text);
}

/* ---- columns ------------------------------------------------------------------------------ */

static bool view_check_load_enums(struct checker *checker) {
    if (!checker->enums && !checker->failed) {
        pg_params_reset(checker->params);
        checker->failed = !pg_query(checker->pg, "view_enums", enums_sql, checker->params,
                                    checker->timeout_ms, &checker->enums, checker->err);
    }
    return !checker->failed;
}

/* True: the type is neither a type of view.lua nor an enum of the database, which it reports. */
static bool view_check_refuses_type(struct checker *checker, const char *name,
                                    const struct view_column *declared) {
    const char *known[MAX_TYPES];
    char hint[NEAREST_HINT_CAP], word[VIEW_SQL_NAME_CAP];
    size_t count = 0;
    if (!declared || declared->type != VIEW_ENUM || !view_check_load_enums(checker)) {
        return false;
    }
    size_t len = strcspn(declared->sql_type, "[");
    snprintf(word, sizeof word, "%.*s", (int)len, declared->sql_type);
    for (; count < VIEW_TYPE_WORDS; count++) {
        known[count] = view_type_names[count];
    }
    for (int i = 0; i < pg_rows_count(checker->enums) && count < MAX_TYPES; i++) {
        known[count] = pg_rows_text(checker->enums, i, 0);
        if (strcmp(known[count++], word) == 0) {
            return false;
        }
    }
    view_check_report(checker, name, "no type \"%s\", and no enum of the database: %s",
                      declared->sql_type, nearest_hint(hint, word, known, count));
    return true;
}

static int view_check_find_column(const struct pg_result *columns, const char *name) {
    int row = pg_rows_count(columns) - 1;
    while (row >= 0 && strcmp(pg_rows_text(columns, row, NAME), name) != 0) {
        row--;
    }
    return row;
}

/* The column of a group with the rule count: Postgres computes it of the stored one. */
static void view_check_computed(const struct checker *checker, const struct view_column *declared) {
    int row = view_check_find_column(checker->columns, declared->name);
    const char *type = row >= 0 ? pg_rows_text(checker->columns, row, TYPE) : "no such column";
    const char *computed = row >= 0 ? pg_rows_text(checker->columns, row, COMPUTED) : "";
    if (!view_sql_is_computed(declared, type, computed)) {
        view_check_report(checker, declared->name,
                          "the rule count needs it as " VIEW_SQL_COMPUTED
                          ", the database has %s%s%s%s: " REMEDY,
                          declared->stored, type, computed[0] ? " GENERATED ALWAYS AS (" : "",
                          computed, computed[0] ? ")" : "");
    }
}

static void view_check_column(void *context, const struct view_table *table, int group,
                              int column) {
    struct checker *checker = context;
    const struct view_column *declared =
        column < 0 ? NULL : view_sql_column_at(table, group, column);
    const char *want = view_sql_type_of(table, group, column);
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    int row = view_check_find_column(checker->columns, name);
    const char *have = row >= 0 ? pg_rows_text(checker->columns, row, TYPE) : "no such column";
    if (strcmp(have, want) != 0 && !view_check_refuses_type(checker, name, declared)) {
        view_check_report(checker, name, "the view declares it as %s, the database has %s: %s",
                          want, have, row >= 0 ? REMEDY_TYPE : REMEDY);
    } else if (row >= 0 && pg_rows_text(checker->columns, row, COMPUTED)[0]) {
        view_check_report(checker, name,
                          "Postgres computes it as %s, so no merge can write it: " REMEDY,
                          pg_rows_text(checker->columns, row, COMPUTED));
    }
    if (declared && declared->stored) {
        view_check_computed(checker, declared);
    }
}

static void view_check_type(void *context, const struct view_table *table, int group, int column) {
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    view_check_refuses_type(context, name,
                            column < 0 ? NULL : view_sql_column_at(table, group, column));
}

struct search {
    const char *name;
    bool found;
};

static void view_check_find_declared(void *context, const struct view_table *table, int group,
                                     int column) {
    struct search *search = context;
    char name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, table, group, column);
    search->found = search->found || strcmp(name, search->name) == 0;
}

/* An insert has no value for a column that the view does not declare. */
static void view_check_others(const struct checker *checker) {
    for (int row = 0; row < pg_rows_count(checker->columns); row++) {
        struct search search = {.name = pg_rows_text(checker->columns, row, NAME)};
        view_sql_columns(checker->table, UINT32_MAX, view_check_find_declared, &search);
        if (!search.found && pg_rows_text(checker->columns, row, IS_REQUIRED)[0] == 't') {
            view_check_report(
                checker, search.name,
                "it is NOT NULL without a default and not in the view, so every insert fails: give "
                "it a default, or declare it in scripts/view.lua");
        }
    }
}

/* ---- keys --------------------------------------------------------------------------------- */

static void view_check_unique(struct checker *checker) {
    const struct view_table *table = checker->table;
    struct pg_params *params = checker->params;
    struct buffer key = {0};
    struct pg_result *found = NULL;
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(table->name));
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < table->key_count; i++) {
        pg_array_bytes(params, slice_of(table->key[i].name));
        buffer_append_format(&key, "%s\"%s\"", i ? ", " : "", table->key[i].name);
    }
    pg_array_end(params);
    checker->failed = !pg_query(checker->pg, "view_unique", unique_sql, params, checker->timeout_ms,
                                &found, checker->err);
    if (!checker->failed && pg_rows_count(found) == 0) {
        view_check_report(checker, NULL,
                          "the table needs a primary key or unique index on exactly (%s)",
                          key.data);
    }
    pg_rows_free(found);
    buffer_free(&key);
}

/* ---- tables ------------------------------------------------------------------------------- */

static bool view_check_ask_columns(struct checker *checker, const char *table,
                                   struct pg_result **columns) {
    pg_params_reset(checker->params);
    pg_params_add_text(checker->params, slice_of(table));
    return pg_query(checker->pg, "view_schema", columns_sql, checker->params, checker->timeout_ms,
                    columns, checker->err);
}

/* The sweep compares the column with keys. */
static void view_check_hanging_type(struct checker *checker, const struct view_hanging *hanging,
                                    const char *type) {
    const char *key = view_sql_type_of(checker->table, -1, 0);
    struct pg_result *row = NULL;
    if (strcmp(type, key) == 0) {
        return;
    }
    pg_params_reset(checker->params);
    pg_params_add_text(checker->params, slice_of(type));
    pg_params_add_text(checker->params, slice_of(key));
    checker->failed = !pg_query(checker->pg, "view_comparable", comparable_sql, checker->params,
                                checker->timeout_ms, &row, checker->err);
    if (!checker->failed && pg_rows_text(row, 0, 0)[0] != 't') {
        view_check_report(checker, NULL,
                          "retention: `with` names the column %s of the table %s, which is of type "
                          "%s: the key of this table, %s, is of type %s, and equals none of it",
                          hanging->column, hanging->table, type, checker->table->key[0].name, key);
    }
    pg_rows_free(row);
}

/* What leaves with the rows of the table. */
static void view_check_hanging(struct checker *checker) {
    const struct view_retention *retention = checker->table->retention;
    for (size_t i = 0; retention && !checker->failed && i < retention->with_count; i++) {
        const struct view_hanging *hanging = &retention->with[i];
        struct pg_result *columns = NULL;
        checker->failed = !view_check_ask_columns(checker, hanging->table, &columns);
        int row = checker->failed ? -1 : view_check_find_column(columns, hanging->column);
        if (row >= 0) {
            view_check_hanging_type(checker, hanging, pg_rows_text(columns, row, TYPE));
        } else if (!checker->failed) {
            view_check_report(checker, NULL,
                              "retention: `with` names the column %s of the table %s: the database "
                              "has no such %s",
                              hanging->column, hanging->table,
                              pg_rows_count(columns) == 0 ? "table" : "column");
        }
        pg_rows_free(columns);
    }
}

static bool view_check_table(struct checker *checker) {
    struct pg_result *columns = NULL;
    if (!view_check_ask_columns(checker, checker->table->name, &columns)) {
        return false;
    }
    checker->columns = columns;
    if (pg_rows_count(columns) == 0) {
        view_check_report(checker, NULL, "the database has no such table: " REMEDY);
        view_sql_columns(checker->table, UINT32_MAX, view_check_type, checker);
    } else {
        view_sql_columns(checker->table, UINT32_MAX, view_check_column, checker);
        view_check_others(checker);
        view_check_unique(checker);
        view_check_hanging(checker);
    }
    pg_rows_free(columns);
    return !checker->failed;
}

static bool view_check_tables(struct pg *pg, const struct view *view, int timeout_ms,
                              bool (*check)(struct checker *checker), view_problem problem,
                              void *context, struct err *err) {
    struct checker checker = {.pg = pg,
                              .params = pg_params_create(),
                              .timeout_ms = timeout_ms,
                              .problem = problem,
                              .context = context,
                              .err = err};
    bool asked = true;
    for (size_t i = 0; asked && i < view->table_count; i++) {
        checker.table = &view->tables[i];
        asked = check(&checker);
    }
    pg_rows_free(checker.enums);
    pg_params_destroy(checker.params);
    return asked;
}

bool view_check(struct pg *pg, const struct view *view, int timeout_ms, view_problem problem,
                void *context, struct err *err) {
    return view_check_tables(pg, view, timeout_ms, view_check_table, problem, context, err);
}

static bool view_check_table_types(struct checker *checker) {
    view_sql_columns(checker->table, UINT32_MAX, view_check_type, checker);
    return !checker->failed;
}

static void view_check_keep_problem(void *context, const char *table, const char *column,
                                    const char *text) {
    problems_add(context, "", 0, "table %s%s%s: %s", table, column ? ": column " : "",
                 column ? column : "", text);
}

bool view_sql_check(struct pg *pg, const struct view *view, int timeout_ms, struct err *err) {
    struct problems problems = {0};
    bool good = view_check(pg, view, timeout_ms, view_check_keep_problem, &problems, err) &&
                problems_report(&problems, err);
    problems_free(&problems);
    return good;
}

bool view_check_types(struct pg *pg, const struct view *view, int timeout_ms, struct err *err) {
    struct problems problems = {0};
    bool good = view_check_tables(pg, view, timeout_ms, view_check_table_types,
                                  view_check_keep_problem, &problems, err) &&
                problems_report(&problems, err);
    problems_free(&problems);
    return good;
}
