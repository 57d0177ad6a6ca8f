/* pg: groups of statements, their errors, and every way to lose a server. Needs PG_TEST_URL. */
#include <libpq-fe.h>
#include "bindings/pg.h"

#include "bindings/pg_connection.h"
#include "base/buffer.h"
#include "proxy.h"
#include "test.h"

#define WAIT_MS 10000

static struct pg *pg;
static struct err err;

static struct pg *create(const char *url, int timeout_ms) {
    struct pg_options options = {.url = url,
                                 .application_name = "test_pg",
                                 .connect_timeout_ms = timeout_ms,
                                 .statement_timeout_ms = 5000};
    return pg_create(&options);
}

static void open_server(void) {
    pg = create(test_url("PG_TEST_URL"), 5000);
    err_clear(&err);
    CHECK_OK(pg_connect(pg, &err), &err);
}

static void close_server(void) {
    pg_destroy(pg);
    pg = NULL;
}

/* One value as text, in memory that lives until the next call; "" and a failed case on error. */
static const char *ask(struct pg *on, const char *name, const char *sql) {
    static _Thread_local char text[256];
    PGresult *result = NULL;
    struct err reason = {0};
    CHECK_OK(pg_query(on, name, sql, NULL, WAIT_MS, &result, &reason), &reason);
    snprintf(text, sizeof text, "%s", result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

static void still_works(struct pg *on) {
    CHECK_TEXT(ask(on, "still_works", "SELECT 'yes'"), "yes");
}

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

/* ---- sizes -------------------------------------------------------------------------------- */

static void large_values_go_both_ways_at_once(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    size_t len = 10 * 1024 * 1024;
    char *text = malloc(len);
    memset(text, 'x', len);
    pg_params_add_text(params, (struct slice){text, len});
    PGresult *result = NULL;
    CHECK_OK(pg_query(pg, "echo", "SELECT $1::text", params, WAIT_MS, &result, &err), &err);
    CHECK(result && PQgetlength(result, 0, 0) == (int)len);
    CHECK(result && memcmp(PQgetvalue(result, 0, 0), text, len) == 0);
    PQclear(result);
    free(text);
    pg_params_destroy(params);
    close_server();
}

/* Results over 16 KB a statement while parameters of as many still wait to be sent: a client that
 * only writes would wait for ever for a server that only writes. */
static void many_large_statements_do_not_deadlock(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    char *text = malloc(200000);
    memset(text, 'y', 200000);
    pg_params_add_text(params, (struct slice){text, 200000});
    for (int i = 0; i < 60; i++) {
        CHECK(pg_send(pg, "echo", "SELECT $1::text", params, false, &err));
    }
    CHECK_OK(pg_finish(pg, WAIT_MS, NULL, NULL, &err), &err);
    free(text);
    pg_params_destroy(params);
    close_server();
}

static void many_rows(void) {
    open_server();
    PGresult *result = NULL;
    CHECK_OK(
        pg_query(pg, "rows", "SELECT generate_series(1, 300000)", NULL, WAIT_MS, &result, &err),
        &err);
    CHECK_INT(result ? PQntuples(result) : 0, 300000);
    PQclear(result);
    close_server();
}

/* ---- parameters --------------------------------------------------------------------------- */

static const char *ask_with(const char *sql, struct pg_params *params) {
    static char text[512];
    PGresult *result = NULL;
    struct err reason = {0};
    CHECK_OK(pg_query(pg, sql, sql, params, WAIT_MS, &result, &reason), &reason);
    snprintf(text, sizeof text, "%s", result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    pg_params_reset(params);
    return text;
}

static void scalars_arrive_exact(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    pg_params_add_int8(params, INT64_MIN);
    pg_params_add_bool(params, true);
    pg_params_add_null(params);
    pg_params_add_text(params, slice_of("2025-06-28"));
    pg_params_add_text(params, (struct slice){0});
    CHECK_TEXT(ask_with("SELECT concat_ws('|', $1::int8, $2::bool, coalesce($3::text, 'null'), "
                        "$4::date, coalesce($5::int, -1))",
                        params),
               "-9223372036854775808|t|null|2025-06-28|-1");
    pg_params_destroy(params);
    close_server();
}

static void arrays_arrive_exact(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    pg_array_begin(params, PG_ARRAY_TEXT);
    pg_array_bytes(params, slice_of("a,\"{}\\"));
    pg_array_null(params);
    pg_array_bytes(params, slice_of(""));
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_INT4);
    pg_array_int(params, INT32_MIN);
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TIMESTAMPTZ);
    pg_array_timestamp(params, -62135596800000000);
    pg_array_timestamp(params, 253402300799999999);
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_UUID);
    pg_array_bytes(params, (struct slice){(const char *)uuid, 16});
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_BOOL);
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_BYTEA);
    pg_array_bytes(params, (struct slice){"\0\xff", 2});
    pg_array_end(params);
    CHECK_TEXT(
        ask_with("SELECT json_build_array($1::text[], $2::int4[], ($3::timestamptz[])[1] AT TIME "
                 "ZONE 'UTC', ($3::timestamptz[])[2] AT TIME ZONE 'UTC', $4::uuid[], $5::bool[], "
                 "encode(($6::bytea[])[1], 'hex'))",
                 params),
        "[[\"a,\\\"{}\\\\\",null,\"\"], [-2147483648], \"0001-01-01T00:00:00\", "
        "\"9999-12-31T23:59:59.999999\", [\"01020304-0506-0708-090a-0b0c0d0e0f10\"], [], "
        "\"00ff\"]");
    pg_params_destroy(params);
    close_server();
}

/* What a type cannot hold is refused whole as data; half of it is never stored. */
static void values_that_do_not_fit_are_refused_as_data(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    pg_params_add_text(params, (struct slice){"a\0b", 3});
    CHECK(!pg_query(pg, "nul", "SELECT $1::text", params, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "22021");
    CHECK_INT(err.kind, ERR_INPUT);
    pg_params_reset(params);
    pg_params_add_text(params, slice_of("\xff"));
    CHECK(!pg_query(pg, "bytes", "SELECT $1::text", params, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "22021");
    pg_params_reset(params);
    pg_array_begin(params, PG_ARRAY_INT4);
    pg_array_int(params, 2147483648LL);
    pg_array_end(params);
    CHECK(!pg_query(pg, "int4", "SELECT $1::int4[]", params, WAIT_MS, NULL, &err));
    CHECK_INT(err.kind, ERR_INPUT);
    /* Postgres' infinities and values beyond them are not valid times of events. */
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 946684800000000LL};
    for (size_t i = 0; i < 2; i++) {
        pg_params_reset(params);
        pg_array_begin(params, PG_ARRAY_TIMESTAMPTZ);
        pg_array_timestamp(params, times[i]);
        pg_array_end(params);
        CHECK(!pg_query(pg, "time", "SELECT $1::timestamptz[]", params, WAIT_MS, NULL, &err));
        CHECK_TEXT(err.sqlstate, "22008");
        CHECK_INT(err.kind, ERR_INPUT);
    }
    still_works(pg);
    pg_params_destroy(params);
    close_server();
}

static void one_name_with_two_types_is_two_statements(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    for (int round = 0; round < 2; round++) {
        pg_params_add_int8(params, 5);
        CHECK_TEXT(ask_with("SELECT pg_typeof($1)::text", params), "bigint");
        pg_params_add_bool(params, true);
        CHECK_TEXT(ask_with("SELECT pg_typeof($1)::text", params), "boolean");
    }
    pg_params_destroy(params);
    close_server();
}

static void one_name_with_two_texts_is_two_statements(void) {
    open_server();
    for (int round = 0; round < 2; round++) {
        CHECK_TEXT(ask(pg, "same", "SELECT 'of one generation'"), "of one generation");
        CHECK_TEXT(ask(pg, "same", "SELECT 'of the next'"), "of the next");
    }
    close_server();
}

/* ---- a server that goes ------------------------------------------------------------------- */

/* Ends the backend of `pg` from a connection of its own and waits until it is gone. */
static void terminate(int backend) {
    struct pg *other = create(test_url("PG_TEST_URL"), 5000);
    char sql[128];
    struct err reason = {0};
    CHECK_OK(pg_connect(other, &reason), &reason);
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", backend);
    CHECK_OK(pg_script(other, sql, WAIT_MS, &reason), &reason);
    pg_destroy(other);
}

static int backend_of(struct pg *on) {
    return atoi(ask(on, "backend", "SELECT pg_backend_pid()"));
}

static void lost_and_found(void) {
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK(!pg_connected(pg));
    CHECK_OK(pg_connect(pg, &err), &err);
    still_works(pg);
}

static void a_backend_killed_while_idle_is_noticed(void) {
    open_server();
    terminate(backend_of(pg));
    CHECK(!pg_query(pg, "one", "SELECT 1", NULL, WAIT_MS, NULL, &err));
    lost_and_found();
    close_server();
}

static void a_backend_killed_with_statements_queued_is_noticed(void) {
    open_server();
    int backend = backend_of(pg);
    CHECK(pg_send(pg, "begin", "BEGIN", NULL, false, &err));
    CHECK(pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    terminate(backend);
    CHECK(!pg_finish(pg, WAIT_MS, NULL, NULL, &err));
    lost_and_found();
    close_server();
}

static void *terminate_at_work(void *argument) {
    int *backend = argument;
    struct pg *other = create(test_url("PG_TEST_URL"), 5000);
    struct err reason = {0};
    char sql[256];
    CHECK_OK(pg_connect(other, &reason), &reason);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'",
             *backend);
    WAIT_UNTIL(*ask(other, "at_work", sql) == '1');
    pg_destroy(other);
    terminate(*backend);
    return NULL;
}

static void a_backend_killed_at_work_is_noticed(void) {
    open_server();
    int backend = backend_of(pg);
    pthread_t killer;
    pthread_create(&killer, NULL, terminate_at_work, &backend);
    CHECK(pg_send(pg, "sleep", "SELECT pg_sleep(60)", NULL, false, &err));
    CHECK(pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    CHECK(!pg_finish(pg, WAIT_MS, NULL, NULL, &err));
    CHECK_TEXT(err.sqlstate, "57P01");
    lost_and_found();
    pthread_join(killer, NULL);
    close_server();
}

static void a_backend_killed_within_a_script_is_noticed(void) {
    open_server();
    int backend = backend_of(pg);
    pthread_t killer;
    pthread_create(&killer, NULL, terminate_at_work, &backend);
    CHECK(!pg_script(pg, "SELECT 1; SELECT pg_sleep(60)", WAIT_MS, &err));
    lost_and_found();
    pthread_join(killer, NULL);
    close_server();
}

static void a_transaction_of_a_lost_connection_is_rolled_back(void) {
    open_server();
    CHECK_OK(pg_script(pg, "DROP TABLE IF EXISTS test_pg_lost; CREATE TABLE test_pg_lost (a int)",
                       WAIT_MS, &err),
             &err);
    CHECK(pg_query(pg, "begin", "BEGIN", NULL, WAIT_MS, NULL, &err));
    CHECK(pg_query(pg, "insert", "INSERT INTO test_pg_lost VALUES (1)", NULL, WAIT_MS, NULL, &err));
    terminate(backend_of(pg));
    CHECK(!pg_query(pg, "commit", "COMMIT", NULL, WAIT_MS, NULL, &err));
    lost_and_found();
    CHECK_TEXT(ask(pg, "count", "SELECT count(*) FROM test_pg_lost"), "0");
    CHECK_OK(pg_script(pg, "DROP TABLE test_pg_lost", WAIT_MS, &err), &err);
    close_server();
}

static void a_statement_timeout_is_an_outage_and_leaves_the_connection(void) {
    struct pg_options options = {.url = test_url("PG_TEST_URL"),
                                 .application_name = "test_pg",
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = 50};
    pg = pg_create(&options);
    err_clear(&err);
    CHECK_OK(pg_connect(pg, &err), &err);
    CHECK(!pg_query(pg, "sleep", "SELECT pg_sleep(60)", NULL, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "57014");
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK(pg_connected(pg));
    still_works(pg);
    close_server();
}

/* A URL of the proxy instead of the server. */
static const char *through(const struct proxy *proxy) {
    static char url[256];
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d/postgres", proxy->port);
    return url;
}

static void a_frozen_server_costs_the_deadline_and_no_more(void) {
    struct proxy proxy;
    proxy_start(&proxy, proxy_url_port(test_url("PG_TEST_URL")));
    pg = create(through(&proxy), 5000);
    CHECK_OK(pg_connect(pg, &err), &err);
    proxy.mode = PROXY_FROZEN;
    int64_t started_us = clock_monotonic_us();
    CHECK(!pg_query(pg, "one", "SELECT 1", NULL, 200, NULL, &err));
    CHECK_INT(err.kind, ERR_TIMEOUT); /* it may have run */
    CHECK(!pg_connected(pg));
    CHECK(clock_monotonic_us() - started_us < 2000000);
    proxy.mode = PROXY_PASS;
    CHECK_OK(pg_connect(pg, &err), &err);
    still_works(pg);
    close_server();
    proxy_stop(&proxy);
}

static void a_server_that_never_greets_costs_the_deadline_and_no_more(void) {
    struct proxy proxy;
    proxy_start(&proxy, 0);
    pg = create(through(&proxy), 200);
    int64_t started_us = clock_monotonic_us();
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE); /* nothing was asked */
    CHECK(clock_monotonic_us() - started_us < 2000000);
    close_server();
    proxy_stop(&proxy);
}

static void a_server_that_restarts_is_found_again(void) {
    struct proxy proxy;
    proxy_start(&proxy, proxy_url_port(test_url("PG_TEST_URL")));
    pg = create(through(&proxy), 5000);
    CHECK_OK(pg_connect(pg, &err), &err);
    proxy.mode = PROXY_CUT;
    CHECK(!pg_query(pg, "one", "SELECT 1", NULL, WAIT_MS, NULL, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    proxy.mode = PROXY_PASS;
    CHECK_OK(pg_connect(pg, &err), &err);
    still_works(pg);
    close_server();
    proxy_stop(&proxy);
}

/* Cut after the request was sent: the caller gets an error or the reply, and nothing hangs. */
static void a_connection_cut_behind_a_request_is_noticed(void) {
    struct proxy proxy;
    proxy_start(&proxy, proxy_url_port(test_url("PG_TEST_URL")));
    pg = create(through(&proxy), 5000);
    for (int round = 0; round < 5; round++) {
        proxy.mode = PROXY_PASS;
        CHECK_OK(pg_connect(pg, &err), &err);
        CHECK(pg_send(pg, "begin", "BEGIN", NULL, false, &err));
        CHECK(pg_send(pg, "commit", "COMMIT", NULL, false, &err));
        proxy.cut_after_request = true;
        CHECK(!pg_finish(pg, WAIT_MS, NULL, NULL, &err));
        CHECK_INT(err.kind, ERR_UNAVAILABLE);
        CHECK(!pg_connected(pg));
    }
    close_server();
    proxy_stop(&proxy);
}

static void calls_without_a_connection_fail_at_once(void) {
    pg = create("postgresql://127.0.0.1:1/x", 200);
    CHECK(!pg_send(pg, "one", "SELECT 1", NULL, false, &err));
    CHECK(!pg_sync(pg, &err));
    CHECK(!pg_script(pg, "SELECT 1", WAIT_MS, &err));
    CHECK_INT(pg_progress(pg, NULL, NULL, &err), PG_FAILED);
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_INT(pg_socket(pg), -1);
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
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
    {"a commented statement is not kept and disturbs none that is",
     a_commented_statement_is_not_kept_and_disturbs_none_that_is},
    {"results come in order of their statements", results_come_in_order_of_their_statements},
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
    {"10 MB go both ways at once", large_values_go_both_ways_at_once},
    {"many large statements do not deadlock", many_large_statements_do_not_deadlock},
    {"many rows", many_rows},
    {"scalars arrive exact", scalars_arrive_exact},
    {"arrays arrive exact", arrays_arrive_exact},
    {"values that do not fit are refused as data", values_that_do_not_fit_are_refused_as_data},
    {"one name with two types is two statements", one_name_with_two_types_is_two_statements},
    {"one name with two texts is two statements", one_name_with_two_texts_is_two_statements},
    {"a backend killed while idle is noticed", a_backend_killed_while_idle_is_noticed},
    {"a backend killed with statements queued is noticed",
     a_backend_killed_with_statements_queued_is_noticed},
    {"a backend killed at work is noticed", a_backend_killed_at_work_is_noticed},
    {"a backend killed within a script is noticed", a_backend_killed_within_a_script_is_noticed},
    {"a transaction of a lost connection is rolled back",
     a_transaction_of_a_lost_connection_is_rolled_back},
    {"a statement timeout is an outage and leaves the connection",
     a_statement_timeout_is_an_outage_and_leaves_the_connection},
    {"a frozen server costs the deadline and no more",
     a_frozen_server_costs_the_deadline_and_no_more},
    {"a server that never greets costs the deadline and no more",
     a_server_that_never_greets_costs_the_deadline_and_no_more},
    {"a server that restarts is found again", a_server_that_restarts_is_found_again},
    {"a connection cut behind a request is noticed", a_connection_cut_behind_a_request_is_noticed},
    {"calls without a connection fail at once", calls_without_a_connection_fail_at_once},
    {"a password is never in an error", a_password_is_never_in_an_error},
    {"a driver in the URL is cut off", a_driver_in_the_url_is_cut_off},
    {"a script names the line at fault", a_script_names_the_line_at_fault},
};

TEST_MAIN(cases)
