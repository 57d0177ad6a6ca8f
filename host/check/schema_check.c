#include "schema_check.h"

#include "bindings/pg_named.h"
#include "base/problems.h"
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

/* False: no connection to the database. */
static bool schema_check_keep_query_problem(struct check *check, const struct script_query *query,
                                            const struct err *err) {
    if (!err->sqlstate[0] || strncmp(err->sqlstate, "08", 2) == 0) {
        *check->err = *err;
        return false;
    }
    problems_add(&check->problems, query->path, 0, "%s", err->text);
    return true;
}

/* Runs the prepared statement: EXPLAIN ANALYZE keeps its rows in the server. */
static bool schema_check_run_statement(struct check *check, const struct script_query *query,
                                       const struct pg_named *named) {
    struct sql_session *session = check->session;
    struct buffer sql = {0};
    struct err err = {0};
    buffer_append_text(&sql, "EXPLAIN (ANALYZE, TIMING OFF) EXECUTE checked");
    for (size_t i = 0; i < named->count; i++) {
        buffer_append_text(&sql, i ? ", NULL" : "(NULL");
    }
    buffer_append_text(&sql, named->count > 0 ? ")" : "");
    bool asked = sql_run(session, check->err, "SET LOCAL statement_timeout = %d", RUN_TIMEOUT_MS) &&
                 sql_run(session, check->err, "SET LOCAL lock_timeout = %d", RUN_TIMEOUT_MS) &&
                 sql_run(session, check->err, "SAVEPOINT checked");
    asked = asked && (sql_run(session, &err, "%s", sql.data) ||
                      schema_check_may_be_good(&err, named->count > 0) ||
                      schema_check_keep_query_problem(check, query, &err));
    buffer_free(&sql);
    return asked && sql_run(session, check->err, "ROLLBACK TO checked");
}

static bool schema_check_is_of_reaction(const struct script_generation *generation,
                                        const struct script_query *query) {
    size_t count;
    const struct script_reaction *reactions = script_generation_reactions(generation, &count);
    for (size_t i = 0; i < count; i++) {
        struct script_query own;
        if (script_find_query(generation, reactions[i].query, &own) && own.text == query->text) {
            return true;
        }
    }
    return false;
}

/* A reaction's query returns a column `key`, and only reads: inside another statement it cannot
 * write. */
static bool schema_check_reaction_query(struct check *check, const struct script_query *query,
                                        const struct pg_named *named) {
    struct sql_session *session = check->session;
    struct err err = {0};
    if (sql_run(session, &err, "PREPARE keyed AS SELECT q.key FROM (\n%s\n) q", named->sql)) {
        return sql_run(session, check->err, "DEALLOCATE keyed");
    }
    if (strcmp(err.sqlstate, "42703") == 0) {
        problems_add(
            &check->problems, query->path, 0,
            "it returns no column \"key\": each row that a reaction gets belongs to one of "
            ":keys");
        return true;
    }
    return schema_check_keep_query_problem(check, query, &err);
}

/* In one transaction: a pooler may run two statements on two connections, and would keep the
 * prepared one. */
static bool schema_check_statement(struct check *check, const struct script_query *query,
                                   const struct pg_named *named, enum schema_depth depth) {
    struct sql_session *session = check->session;
    struct err err = {0};
    if (!sql_run(session, check->err, "BEGIN")) {
        return false;
    }
    bool prepared = sql_run(session, &err, "PREPARE checked AS %s", named->sql);
    bool asked =
        prepared ? (depth == SCHEMA_PREPARE || schema_check_run_statement(check, query, named)) &&
                       sql_run(session, check->err, "DEALLOCATE checked") &&
                       (!schema_check_is_of_reaction(check->generation, query) ||
                        schema_check_reaction_query(check, query, named))
                 : schema_check_keep_query_problem(check, query, &err);
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
