#include "schema_check.h"

#include "bindings/pg_named.h"
#include "base/nearest.h"
#include "base/problems.h"
#include "query_kind.h"
#include "view/view_check.h"

#define RUN_TIMEOUT_MS 2000 /* per query */

struct check {
    struct sql_session *session;
    const struct script_generation *generation;
    struct problems problems;
    struct err *err;
};

static void schema_check_keep_view_problem(void *context, const char *table, const char *column,
                                           const char *text) {
    struct check *check = context;
    const char *path;
    int line = script_view_place(check->generation, table, column, &path);
    problems_add(&check->problems, path, line, "table %s%s%s: %s", table, column ? ": column " : "",
                 column ? column : "", text);
}

/* ---- queries ------------------------------------------------------------------------------ */

/* Classes of SQLSTATE that prove no fault: data and constraints, which NULL parameters may violate;
 * errors that a function raises; and timeouts. */
static bool schema_check_may_be_good(const struct err *err, bool has_params) {
    static const char *const of_nulls[] = {"22", "23", "P0"}, *const of_time[] = {"57014", "55P03"};
    for (size_t i = 0; i < sizeof of_time / sizeof *of_time; i++) {
        if (strcmp(err->sqlstate, of_time[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; has_params && i < sizeof of_nulls / sizeof *of_nulls; i++) {
        if (strncmp(err->sqlstate, of_nulls[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

/* first_line: where the query begins in the statement that Postgres refused last; 0: it is not in
 * it. False: no connection to the database. */
static bool schema_check_keep_query_problem(struct check *check, const struct script_query *query,
                                            int first_line, const struct err *err) {
    if (!err->sqlstate[0] || strncmp(err->sqlstate, "08", 2) == 0) {
        *check->err = *err;
        return false;
    }
    const struct pg_mistake *mistake = pg_last_mistake(check->session->pg);
    int line = first_line > 0 && mistake->line >= first_line ? mistake->line - first_line + 1 : 0;
    const char *hint = mistake->hint;
    problems_add(&check->problems, query->path, line, "%s%s%s%s", err->text,
                 hint[0] ? " (hint: " : "", hint, hint[0] ? ")" : "");
    return true;
}

/* The view's table that a line of EXPLAIN writes ("Insert on batch_results"); NULL: none. */
static const struct view_table *schema_check_written(const struct view *view, const char *line) {
    static const char *const writes[] = {"Insert on ", "Update on ", "Delete on ", "Merge on "};
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        const char *at = strstr(line, writes[i]);
        for (size_t t = 0; at && t < view->table_count; t++) {
            const char *name = at + strlen(writes[i]);
            size_t len = strlen(view->tables[t].name);
            name += *name == '"'; /* it quotes a name that is a word of SQL */
            bool is_same = strncmp(name, view->tables[t].name, len) == 0;
            if (is_same && strchr(" \"", name[len])) { /* or the end */
                return &view->tables[t];
            }
        }
    }
    return NULL;
}

/* Rows of the view come from events: a rebuild makes them of nothing else. */
static void schema_check_find_writes(struct check *check, const struct script_query *query,
                                     const struct pg_result *plan) {
    const struct view *view = script_generation_view(check->generation);
    for (int row = 0; plan && row < pg_rows_count(plan); row++) {
        const struct view_table *table = schema_check_written(view, pg_rows_text(plan, row, 0));
        if (table) {
            problems_add(&check->problems, query->path, 0,
                         "it writes %s, a table of the view, whose rows a rebuild makes of events "
                         "alone: write a table of your own, or let a route produce an event",
                         table->name);
        }
    }
}

/* Explains the prepared statement with NULL parameters, and undoes what that did. refusal: the
 * error of Postgres, if any. False: no connection to the database. */
static bool schema_check_explain(struct check *check, const char *options,
                                 const struct pg_named *named, struct pg_result **plan,
                                 struct err *refusal) {
    struct sql_session *session = check->session;
    struct buffer sql = {0};
    buffer_append_format(&sql, "EXPLAIN (%s) EXECUTE checked", options);
    for (size_t i = 0; i < named->count; i++) {
        buffer_append_text(&sql, i ? ", NULL" : "(NULL");
    }
    buffer_append_text(&sql, named->count > 0 ? ")" : "");
    bool asked = sql_run(session, check->err, "SAVEPOINT checked");
    if (asked && !sql_query_built(session, &sql, plan, refusal) && !refusal->sqlstate[0]) {
        *check->err = *refusal;
        asked = false;
    }
    buffer_free(&sql);
    return asked && sql_run(session, check->err, "ROLLBACK TO checked");
}

/* A row has its values by the names of their columns: pg.query refuses two of one name. */
static void schema_check_find_twins(struct check *check, const struct script_query *query,
                                    const struct pg_result *rows) {
    for (int i = 1; i < pg_rows_column_count(rows); i++) {
        const char *name = pg_rows_column_name(rows, i);
        if (pg_rows_find_column(rows, name) < i) {
            problems_add(&check->problems, query->path, 0,
                         "it returns two columns named \"%s\", which no row of pg.query has: "
                         "give one another name (AS)",
                         name);
            return;
        }
    }
}

/* Inside another statement only those that read can be asked for their columns. */
static bool schema_check_names(struct check *check, const struct script_query *query,
                               const struct pg_named *named) {
    struct sql_session *session = check->session;
    struct pg_result *rows = NULL;
    struct buffer sql = {0};
    struct err refusal = {0};
    if (!sql_run(session, check->err, "SAVEPOINT checked")) {
        return false;
    }
    buffer_append_format(&sql, "SELECT q.* FROM (\n%s\n) q LIMIT 0", named->sql);
    for (size_t i = 0; i < named->count; i++) {
        pg_params_add_null(session->params);
    }
    if (sql_query_built(session, &sql, &rows, &refusal)) {
        schema_check_find_twins(check, query, rows);
        pg_rows_free(rows);
    }
    return sql_run(session, check->err, "ROLLBACK TO checked");
}

/* EXPLAIN ANALYZE runs the statement, and keeps its rows in the server. */
static bool schema_check_run_statement(struct check *check, const struct script_query *query,
                                       const struct pg_named *named) {
    struct sql_session *session = check->session;
    struct pg_result *plan = NULL;
    struct err unplanned = {0}, err = {0}; /* what cannot be planned cannot run: reported once */
    bool asked = sql_run(session, check->err, "SET LOCAL statement_timeout = %d", RUN_TIMEOUT_MS) &&
                 sql_run(session, check->err, "SET LOCAL lock_timeout = %d", RUN_TIMEOUT_MS) &&
                 schema_check_explain(check, "COSTS OFF", named, &plan, &unplanned) &&
                 schema_check_explain(check, "ANALYZE, TIMING OFF", named, NULL, &err);
    schema_check_find_writes(check, query, plan);
    pg_rows_free(plan);
    asked = asked && schema_check_names(check, query, named);
    return asked && (err.kind == ERR_NONE || schema_check_may_be_good(&err, named->count > 0) ||
                     schema_check_keep_query_problem(check, query, 0, &err));
}

/* The next reaction with this query, from *at on; NULL: none. */
static const struct script_reaction *
schema_check_reaction_of(const struct script_generation *generation,
                         const struct script_query *query, size_t *at) {
    size_t count;
    const struct script_reaction *reactions = script_generation_reactions(generation, &count);
    while (*at < count) {
        struct script_query own;
        const struct script_reaction *reaction = &reactions[(*at)++];
        if (script_find_query(generation, reaction->query, &own) && own.text == query->text) {
            return reaction;
        }
    }
    return NULL;
}

#define COLUMNS_MAX 256

static void schema_check_reads(struct check *check, const struct script_reaction *reaction,
                               const struct script_query *query, const struct pg_result *rows) {
    const char *names[COLUMNS_MAX];
    char hint[NEAREST_HINT_CAP];
    struct script_source source = {0};
    size_t count = 0;
    for (; count < COLUMNS_MAX && (int)count < pg_rows_column_count(rows); count++) {
        names[count] = pg_rows_column_name(rows, (int)count);
    }
    for (size_t i = 0; script_generation_source(check->generation, i, &source); i++) {
        if (strcmp(source.name, reaction->name) == 0) {
            break;
        }
    }
    for (const struct script_read *read = reaction->reads; read; read = read->next) {
        if (pg_rows_find_column(rows, read->column) < 0) {
            problems_add(&check->problems, source.path, read->line,
                         "the row has no column \"%s\": %s (%s)", read->column,
                         nearest_hint(hint, read->column, names, count), query->path);
        }
    }
}

/* Compares the columns that reactions read with those of their query. */
static void schema_check_columns(struct check *check, const struct script_query *query,
                                 const struct pg_result *rows) {
    const struct script_reaction *reaction;
    size_t at = 0;
    while ((reaction = schema_check_reaction_of(check->generation, query, &at))) {
        schema_check_reads(check, reaction, query, rows);
    }
}

/* A reaction's query returns a column `key`, and only reads: inside another statement it cannot
 * write. */
static bool schema_check_reaction_query(struct check *check, const struct script_query *query,
                                        const struct pg_named *named) {
    struct pg_result *rows = NULL;
    struct buffer sql = {0};
    struct err err = {0};
    buffer_append_format(&sql, "SELECT q.key, q.* FROM (\n%s\n) q LIMIT 0", named->sql);
    pg_params_add_null(check->session->params);
    if (sql_query_built(check->session, &sql, &rows, &err)) {
        schema_check_columns(check, query, rows);
        pg_rows_free(rows);
        return true;
    }
    if (strcmp(err.sqlstate, "42703") == 0) {
        problems_add(
            &check->problems, query->path, 0,
            "it returns no column \"key\": each row that a reaction gets belongs to one of "
            ":keys");
        return true;
    }
    return schema_check_keep_query_problem(check, query, 2, &err);
}

/* In one transaction: a pooler may run two statements on two connections, and would keep the
 * prepared one. */
static bool schema_check_statement(struct check *check, const struct script_query *query,
                                   const struct pg_named *named, enum schema_depth depth) {
    struct sql_session *session = check->session;
    size_t first = 0;
    struct err err = {0};
    if (!sql_run(session, check->err, "BEGIN")) {
        return false;
    }
    bool prepared = sql_run(session, &err, "PREPARE checked AS %s", named->sql);
    query_kind_explain(named->sql, &err);
    bool asked =
        prepared ? (depth == SCHEMA_PREPARE || schema_check_run_statement(check, query, named)) &&
                       sql_run(session, check->err, "DEALLOCATE checked") &&
                       (!schema_check_reaction_of(check->generation, query, &first) ||
                        schema_check_reaction_query(check, query, named))
                 : schema_check_keep_query_problem(check, query, 1, &err);
    if (pg_connected(session->pg) && !sql_run(session, asked ? check->err : &err, "ROLLBACK")) {
        pg_disconnect(session->pg);
        asked = false;
    }
    return asked;
}

static bool schema_check_query(struct check *check, const struct script_query *query,
                               enum schema_depth depth) {
    struct pg_named named;
    struct err err = {0};
    if (!pg_named_parse(&named, query->text, &err)) {
        problems_add(&check->problems, query->path, 0, "%s", err.text);
        return true;
    }
    bool asked = schema_check_statement(check, query, &named, depth);
    pg_named_free(&named);
    return asked;
}

bool schema_check(struct sql_session *session, const struct script_generation *generation,
                  enum schema_depth depth, struct err *err) {
    struct check check = {.session = session, .generation = generation, .err = err};
    struct script_query query;
    bool asked = view_check(session->pg, script_generation_view(generation), session->timeout_ms,
                            schema_check_keep_view_problem, &check, err);
    for (size_t i = 0; asked && script_generation_query(generation, i, &query); i++) {
        asked = schema_check_query(&check, &query, depth);
    }
    bool good = asked && problems_report(&check.problems, err);
    problems_free(&check.problems);
    return good;
}
