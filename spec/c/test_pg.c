/* pg: groups of statements, their errors, their plans, and what an error shows. Needs PG_TEST_URL.
 */
#include "bindings/pg_connection.h"
#include "pg_server.h"

/* ---- groups ------------------------------------------------------------------------------- */

struct seen {
    size_t count;
    char values[8][16];
};

static bool note_value(void *context, size_t index, PGresult *result, struct err *reason) {
    struct seen *seen = context;
    (void)reason;
    CHECK_INT(index, seen->count);
    snprintf(seen->values[seen->count++], 16, "%s",
             PQntuples(result) ? PQgetvalue(result, 0, 0) : PQcmdStatus(result));
    return true;
}

static void results_come_in_order_of_their_statements(void) {
    open_server();
    struct seen seen = {0};
    CHECK(pg_send(pg, "begin", "BEGIN", NULL, false, &err));
    CHECK(pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    CHECK(pg_send(pg, "two", "SELECT 2", NULL, false, &err));
    CHECK(pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    CHECK(pg_send(pg, "commit", "COMMIT", NULL, false, &err));
    CHECK_OK(pg_finish(pg, WAIT_MS, note_value, &seen, &err), &err);
    CHECK_INT(seen.count, 5);
    CHECK_TEXT(seen.values[1], "1");
    CHECK_TEXT(seen.values[2], "2");
    CHECK_TEXT(seen.values[3], "1");
    CHECK_TEXT(seen.values[4], "COMMIT");
    close_server();
}

#define OWN_TEXT "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
#define PREPARED "SELECT count(*) FROM pg_prepared_statements"

static void a_commented_statement_is_not_kept_and_disturbs_none_that_is(void) {
    open_server();
    CHECK_TEXT(ask(pg, "own", OWN_TEXT), OWN_TEXT);
    CHECK_TEXT(ask(pg, "count", PREPARED), "2");
    for (int round = 0; round < 2; round++) {
        err_clear(&err);
        pg_set_comment(pg, round == 0 ? "/*a='0'*/" : "/*a='1'*/");
        CHECK_TEXT(ask(pg, "own", OWN_TEXT),
                   round == 0 ? OWN_TEXT "\n/*a='0'*/" : OWN_TEXT "\n/*a='1'*/");
        CHECK_TEXT(ask(pg, "last", "SELECT 1; -- without a line's end"), "1");
        CHECK(!pg_query(pg, "wrong", "SELECT 1 / 0", NULL, WAIT_MS, NULL, &err));
        CHECK_TEXT(err.text, "wrong: division by zero");
        pg_set_comment(pg, NULL);
        CHECK_TEXT(ask(pg, "own", OWN_TEXT), OWN_TEXT);
        CHECK_TEXT(ask(pg, "count", PREPARED), "2");
    }
    CHECK_INT(pg->statement_count, 6); /* no more by the second comment than by the first */
    close_server();
}

static void an_error_within_a_group_leaves_the_connection(void) {
    open_server();
    for (int round = 0; round < 3; round++) {
        struct seen seen = {0};
        err_clear(&err);
        CHECK(pg_send(pg, "one", "SELECT 1", NULL, false, &err));
        CHECK(pg_send(pg, "divide", "SELECT 1 / 0", NULL, false, &err));
        CHECK(pg_send(pg, "never_prepared", "SELECT 3", NULL, false, &err));
        CHECK(!pg_finish(pg, WAIT_MS, note_value, &seen, &err));
        CHECK_TEXT(err.sqlstate, "22012");
        CHECK_INT(err.kind, ERR_INPUT);
        CHECK_TEXT(err.text, "divide: division by zero");
        CHECK_INT(seen.count, 1);
        CHECK(pg_connected(pg));
        still_works(pg);
    }
    CHECK_TEXT(ask(pg, "never_prepared", "SELECT 3"), "3");
    close_server();
}

static void a_statement_that_failed_to_parse_is_parsed_again(void) {
    open_server();
    CHECK_OK(pg_script(pg, "DROP TABLE IF EXISTS test_pg_late", WAIT_MS, &err), &err);
    for (int round = 0; round < 3; round++) {
        CHECK(
            !pg_query(pg, "late", "SELECT count(*) FROM test_pg_late", NULL, WAIT_MS, NULL, &err));
        CHECK_TEXT(err.sqlstate, "42P01");
        CHECK_INT(err.kind, ERR_UNAVAILABLE);
    }
    CHECK_OK(pg_script(pg, "CREATE TABLE test_pg_late (a int)", WAIT_MS, &err), &err);
    CHECK_TEXT(ask(pg, "late", "SELECT count(*) FROM test_pg_late"), "0");
    CHECK_OK(pg_script(pg, "DROP TABLE test_pg_late", WAIT_MS, &err), &err);
    close_server();
}

static void a_plan_whose_table_was_altered_recovers(void) {
    open_server();
    struct pg *other = create(test_url("PG_TEST_URL"), 5000);
    CHECK_OK(pg_connect(other, &err), &err);
    CHECK_OK(pg_script(other,
                       "DROP TABLE IF EXISTS test_pg_altered; CREATE TABLE test_pg_altered (a "
                       "int); INSERT INTO test_pg_altered VALUES (7)",
                       WAIT_MS, &err),
             &err);
    CHECK_TEXT(ask(pg, "altered", "SELECT * FROM test_pg_altered"), "7");
    CHECK_OK(pg_script(other, "ALTER TABLE test_pg_altered ALTER a TYPE text", WAIT_MS, &err),
             &err);
    CHECK(!pg_query(pg, "altered", "SELECT * FROM test_pg_altered", NULL, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "0A000");
    CHECK_INT(err.kind, ERR_UNAVAILABLE); /* the next try works */
    CHECK_TEXT(ask(pg, "altered", "SELECT * FROM test_pg_altered"), "7");
    CHECK_OK(pg_script(other, "DROP TABLE test_pg_altered", WAIT_MS, &err), &err);
    pg_destroy(other);
    close_server();
}

/* Asks until the server keeps one plan for every value, and gives that plan. */
static const char *plan_that_is_kept(const char *sql, struct pg_params *params) {
    static char text[4096];
    const char *server_name = "";
    char explain[96];
    PGresult *result = NULL;
    for (int i = 0; i < 6; i++) {
        CHECK_OK(pg_query(pg, "kept", sql, params, WAIT_MS, NULL, &err), &err);
    }
    for (size_t i = 0; i < pg->statement_count; i++) {
        bool is_it = strcmp(pg->statements[i]->sql, sql) == 0;
        server_name = is_it ? pg->statements[i]->server_name : server_name;
    }
    snprintf(explain, sizeof explain, "EXPLAIN EXECUTE %s('7')", server_name);
    CHECK_OK(pg_query(pg, "explain", explain, NULL, WAIT_MS, &result, &err), &err);
    snprintf(text, sizeof text, "%s", result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

static void wake_after(bool slow, int64_t planned_us) {
    pg->slow = false;
    if (slow) {
        CHECK_OK(pg_query(pg, "slow", "SELECT pg_sleep(0.06)", NULL, WAIT_MS, NULL, &err), &err);
    }
    pg->planned_us = planned_us;
    CHECK_OK(pg_wake(pg, WAIT_MS, &err), &err);
}

static void plans_follow_the_tables_once_a_query_was_slow(void) {
    static const char sql[] = "SELECT a FROM test_pg_grown WHERE a = $1::text";
    static const char empty_sql[] =
        "DROP TABLE IF EXISTS test_pg_grown; CREATE TABLE test_pg_grown (a text) "
        "WITH (autovacuum_enabled = off); CREATE INDEX ON test_pg_grown (a); "
        "INSERT INTO test_pg_grown VALUES ('7'); ANALYZE test_pg_grown";
    static const char fill_sql[] = "INSERT INTO test_pg_grown SELECT generate_series(1, 30000)";
    int64_t long_ago = 0, later = clock_monotonic_us() + WAIT_MS * 1000LL;
    struct pg_params *params = pg_params_create();
    pg_params_add_text(params, slice_of("7"));
    open_server();
    CHECK_OK(pg_script(pg, empty_sql, WAIT_MS, &err), &err);
    CHECK_HAS(plan_that_is_kept(sql, params), "Seq Scan");
    CHECK_OK(pg_script(pg, fill_sql, WAIT_MS, &err), &err);
    wake_after(false, long_ago);
    CHECK_HAS(plan_that_is_kept(sql, params), "Seq Scan");
    wake_after(true, later);
    CHECK_HAS(plan_that_is_kept(sql, params), "Seq Scan");
    wake_after(true, long_ago);
    CHECK_HAS(plan_that_is_kept(sql, params), "test_pg_grown_a_idx");
    /* The server has dropped the others: these, and this. */
    CHECK_TEXT(ask(pg, "count", "SELECT count(*) FROM pg_prepared_statements"), "3");
    CHECK_OK(pg_script(pg, "DROP TABLE test_pg_grown", WAIT_MS, &err), &err);
    pg_params_destroy(params);
    close_server();
}

static void plans_are_renewed_at_growing_intervals(void) {
    int64_t ago_us = clock_monotonic_us() - 1500000;
    open_server();
    wake_after(true, ago_us);
    CHECK(pg->planned_us > ago_us); /* after a second */
    wake_after(true, ago_us);
    CHECK(pg->planned_us == ago_us || clock_monotonic_us() - ago_us >= 2000000); /* after two */
    pg->plans_last_us = 1;
    wake_after(true, ago_us);
    CHECK(pg->planned_us > ago_us);
    close_server();
}

static void queries_are_not_compiled(void) {
    open_server();
    CHECK_TEXT(ask(pg, "jit", "SHOW jit"), "off");
    close_server();
}

static void prepared_statements_that_a_pooler_lost_recover(void) {
    open_server();
    still_works(pg);
    CHECK_OK(pg_script(pg, "DEALLOCATE ALL", WAIT_MS, &err), &err);
    CHECK(!pg_query(pg, "still_works", "SELECT 'yes'", NULL, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "26000");
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    still_works(pg);
    close_server();
}

static bool refuse(void *context, size_t index, PGresult *result, struct err *reason) {
    (void)context, (void)index, (void)result;
    return err_set(reason, ERR_CONFLICT, "not wanted");
}

static void a_result_that_is_refused_fails_the_group(void) {
    open_server();
    CHECK(pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    CHECK(pg_send(pg, "two", "SELECT 2", NULL, false, &err));
    CHECK(!pg_finish(pg, WAIT_MS, refuse, NULL, &err));
    CHECK_INT(err.kind, ERR_CONFLICT);
    CHECK_TEXT(err.text, "not wanted");
    still_works(pg);
    close_server();
}

static void commit_of_a_failed_transaction_says_rollback(void) {
    open_server();
    struct seen seen = {0};
    CHECK_OK(pg_query(pg, "begin", "BEGIN", NULL, WAIT_MS, NULL, &err), &err);
    CHECK(!pg_query(pg, "divide", "SELECT 1 / 0", NULL, WAIT_MS, NULL, &err));
    CHECK(pg_send(pg, "commit", "COMMIT", NULL, false, &err));
    CHECK_OK(pg_finish(pg, WAIT_MS, note_value, &seen, &err), &err);
    CHECK_TEXT(seen.values[0], "ROLLBACK");
    close_server();
}

static void sending_into_a_group_under_way_is_refused(void) {
    open_server();
    CHECK(pg_send(pg, "slow", "SELECT pg_sleep(0.05)", NULL, false, &err));
    CHECK(pg_sync(pg, &err));
    CHECK(!pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    CHECK_HAS(err.text, "one: sent while a group is in progress");
    CHECK(!pg_script(pg, "SELECT 1", WAIT_MS, &err));
    CHECK_OK(pg_finish(pg, WAIT_MS, NULL, NULL, &err), &err);
    still_works(pg);
    close_server();
}

/* ---- secrets and scripts ------------------------------------------------------------------ */

static void a_password_is_never_in_an_error(void) {
    static const char *const urls[] = {
        "postgresql://u:s3cr3t@127.0.0.1:1/x",
        "postgresql://u:s3cr3t@w/rd@127.0.0.1:1/x",
        "postgresql://u:s3cr3t@127.0.0.1:port/x",
        "postgresql://u:s3cr3t%zz@127.0.0.1:1/x",
        "postgresql://u:s3cr3t@127.0.0.1:1/x?nonsense=s3cr3t",
        "host=127.0.0.1 port=1 password=s3cr3t user='broken",
        "postgresql+asyncpg://u:s3cr3t@127.0.0.1:1/x",
        "s3cr3t",
        "mysql://u:s3cr3t@h/x",
        "postgresql://127.0.0.1:1/s3cr3t@127.0.0.1:1/x", /* the password is 1/s3cr3t */
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        pg = create(urls[i], 200);
        CHECK(!pg_connect(pg, &err));
        if (strstr(err.text, "s3cr3t")) {
            TEST_FAIL("%s: %s", urls[i], err.text);
        }
        close_server();
    }
}

static void a_driver_in_the_url_is_cut_off(void) {
    char url[256];
    snprintf(url, sizeof url, "postgresql+asyncpg%s", strstr(test_url("PG_TEST_URL"), "://"));
    pg = create(url, 5000);
    CHECK_OK(pg_connect(pg, &err), &err);
    still_works(pg);
    close_server();
}

static void a_script_names_the_line_at_fault(void) {
    open_server();
    CHECK(!pg_script(pg, "SELECT 1;\n-- \xC3\xA9\xC3\xA9\nSELECT\n  nonsense;", WAIT_MS, &err));
    CHECK_TEXT(err.sqlstate, "42703");
    CHECK_HAS(err.text, "line 4: ");
    still_works(pg);
    CHECK(!pg_script(pg, "COPY (SELECT 1) TO STDOUT", WAIT_MS, &err));
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_OK(pg_connect(pg, &err), &err);
    CHECK_OK(pg_script(pg, "", WAIT_MS, &err), &err);
    still_works(pg);
    close_server();
}

static const struct test_case cases[] = {
    {"results come in order of their statements", results_come_in_order_of_their_statements},
    {"a commented statement is not kept and disturbs none that is",
     a_commented_statement_is_not_kept_and_disturbs_none_that_is},
    {"an error within a group leaves the connection",
     an_error_within_a_group_leaves_the_connection},
    {"a statement that failed to parse is parsed again",
     a_statement_that_failed_to_parse_is_parsed_again},
    {"a plan whose table was altered recovers", a_plan_whose_table_was_altered_recovers},
    {"plans follow the tables once a query was slow",
     plans_follow_the_tables_once_a_query_was_slow},
    {"plans are renewed at growing intervals", plans_are_renewed_at_growing_intervals},
    {"queries are not compiled", queries_are_not_compiled},
    {"prepared statements that a pooler lost recover",
     prepared_statements_that_a_pooler_lost_recover},
    {"a result that is refused fails the group", a_result_that_is_refused_fails_the_group},
    {"COMMIT of a failed transaction says ROLLBACK", commit_of_a_failed_transaction_says_rollback},
    {"sending into a group under way is refused", sending_into_a_group_under_way_is_refused},
    {"a password is never in an error", a_password_is_never_in_an_error},
    {"a driver in the URL is cut off", a_driver_in_the_url_is_cut_off},
    {"a script names the line at fault", a_script_names_the_line_at_fault},
};

TEST_MAIN(cases)
