/* pg: every way to lose a server, and to find it again. Needs PG_TEST_URL. */
#include "pg_server.h"
#include "proxy.h"

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

#define MINUTE_MS 60000 /* of limits that do not end the query */

static void a_frozen_server_costs_the_deadline_and_no_more(void) {
    struct proxy proxy;
    proxy_start(&proxy, proxy_url_port(test_url("PG_TEST_URL")));
    pg = pg_create(&(struct pg_options){.url = through(&proxy),
                                        .application_name = "test_pg",
                                        .connect_timeout_ms = MINUTE_MS,
                                        .statement_timeout_ms = MINUTE_MS});
    CHECK_OK(pg_connect(pg, &err), &err);
    proxy.mode = PROXY_FROZEN;
    int64_t started_us = clock_monotonic_us();
    CHECK(!pg_query(pg, "one", "SELECT 1", NULL, 200, NULL, &err));
    CHECK_INT(err.kind, ERR_TIMEOUT); /* it may have run */
    CHECK(!pg_connected(pg));
    CHECK(clock_monotonic_us() - started_us < MINUTE_MS * 1000LL / 2);
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
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE); /* nothing was asked */
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

static const struct test_case cases[] = {
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
};

TEST_MAIN(cases)
