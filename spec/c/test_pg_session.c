/* pg: the choice of a server from the URL, the setup of a connection, and both behind a pooler.
 * Needs PG_TEST_URL, and PGBOUNCER_TEST_URL: a pooler in transaction mode with one connection. */
#include "bindings/pg_connection.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "files.h"
#include "proxy.h"
#include "test.h"

#define WAIT_MS 10000

static struct err err;

static struct pg *create(const struct pg_options *wanted) {
    struct pg_options options = *wanted;
    options.application_name = "test_pg_session";
    options.connect_timeout_ms = options.connect_timeout_ms ? options.connect_timeout_ms : 5000;
    options.statement_timeout_ms = 5000;
    err_clear(&err);
    return pg_create(&options);
}

static struct pg *open_url(const char *url) {
    struct pg *pg = create(&(struct pg_options){.url = url});
    CHECK_OK(pg_connect(pg, &err), &err);
    return pg;
}

static const char *ask(struct pg *pg, const char *sql) {
    static char text[512];
    PGresult *result = NULL;
    struct err reason = {0};
    CHECK_OK(pg_query(pg, "ask", sql, NULL, WAIT_MS, &result, &reason), &reason);
    snprintf(text, sizeof text, "%s", result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

static void run(struct pg *pg, const char *sql) {
    CHECK_OK(pg_query(pg, "run", sql, NULL, WAIT_MS, NULL, &err), &err);
}

/* ---- which server --------------------------------------------------------------------------- */

static char *url_of_ports(int first, int second, const char *rest) {
    static char url[256];
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d,127.0.0.1:%d/postgres%s", first,
             second, rest);
    return url;
}

static void a_frozen_first_server_does_not_hide_the_second(void) {
    struct proxy frozen;
    proxy_start(&frozen, 0);
    int port = proxy_url_port(test_url("PG_TEST_URL"));
    struct pg *pg = create(&(struct pg_options){.url = url_of_ports(frozen.port, port, ""),
                                                .connect_timeout_ms = 300});
    CHECK_OK(pg_connect(pg, &err), &err);
    CHECK_INT(err.kind, ERR_NONE);
    CHECK_INT(frozen.accepted, 1);
    pg_disconnect(pg);
    /* The last good one is asked first, and in what time a caller has left. */
    CHECK_OK(pg_wake(pg, 300, &err), &err);
    CHECK_INT(frozen.accepted, 1);
    pg_destroy(pg);
    proxy_stop(&frozen);
}

static void a_short_deadline_reaches_the_second_server(void) {
    struct proxy frozen;
    proxy_start(&frozen, 0);
    int port = proxy_url_port(test_url("PG_TEST_URL"));
    struct pg *pg = create(&(struct pg_options){.url = url_of_ports(frozen.port, port, "?")});
    CHECK_OK(pg_wake(pg, 1000, &err), &err);
    pg_destroy(pg);
    proxy_stop(&frozen);
}

static void connect_timeout_of_the_url_is_kept_to(void) {
    struct proxy frozen;
    proxy_start(&frozen, 0);
    char url[128];
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d/postgres?connect_timeout=1",
             frozen.port);
    struct pg *pg = create(&(struct pg_options){.url = url, .connect_timeout_ms = 60000});
    int64_t began_us = clock_monotonic_us();
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK(clock_monotonic_us() - began_us < 30000000); /* half of the setting */
    pg_destroy(pg);
    proxy_stop(&frozen);
}

static char *with_option(const char *setting) {
    static char url[512];
    snprintf(url, sizeof url, "%s?options=%s", test_url("PG_TEST_URL"), setting);
    return url;
}

static void a_writing_connection_skips_read_only_servers(void) {
    char *url = with_option("-c%20default_transaction_read_only%3Don");
    struct pg *writer = create(&(struct pg_options){.url = url, .writes = true});
    CHECK(!pg_connect(writer, &err));
    CHECK_TEXT(err.sqlstate, "25006");
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "standby");
    pg_destroy(writer);
    struct pg *reader = open_url(url);
    CHECK_TEXT(ask(reader, "SHOW default_transaction_read_only"), "on");
    pg_destroy(reader);
}

static void several_hosts_are_refused_if_a_standby_is_preferred(void) {
    static const char text[] = "target_session_attrs=prefer-standby is refused for several hosts";
    char folder[] = "/tmp/test_pg_session_XXXXXX", path[64], services[256];
    int port = proxy_url_port(test_url("PG_TEST_URL"));
    char *url = url_of_ports(port, port, "?target_session_attrs=prefer-standby");
    struct pg *pg = create(&(struct pg_options){.url = url});
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, text);
    pg_destroy(pg);
    struct pg *replica = create(&(struct pg_options){.url = url, .replica = true});
    CHECK_OK(pg_connect(replica, &err), &err);
    pg_destroy(replica);

    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/services", folder);
    snprintf(services, sizeof services,
             "[one]\nhost=127.0.0.1\nport=%d\ntarget_session_attrs=prefer-standby\n"
             "[two]\nhost=127.0.0.1,127.0.0.1\nport=%d\ntarget_session_attrs=prefer-standby\n",
             port, port);
    write_path(path, services);
    setenv("PGSERVICEFILE", path, 1);
    struct pg *one = open_url("postgresql://ras@/postgres?service=one");
    pg_destroy(one);
    struct pg *two = create(&(struct pg_options){.url = "postgresql://ras@/postgres?service=two"});
    CHECK(!pg_connect(two, &err));
    CHECK_HAS(err.text, text);
    pg_destroy(two);
    unsetenv("PGSERVICEFILE");
    unlink(path);
    rmdir(folder);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_refused_login_says_why_as_a_code(void) {
    char url[256];
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d/no_such_database",
             proxy_url_port(test_url("PG_TEST_URL")));
    struct pg *pg = create(&(struct pg_options){.url = url});
    CHECK(!pg_connect(pg, &err));
    CHECK_TEXT(err.sqlstate, "3D000");
    CHECK_HAS(err.text, "database \"no_such_database\" does not exist");
    CHECK(!strstr(err.text, "3D000") && !strstr(err.text, "LOCATION"));
    CHECK_TEXT(pg_plain_reason(&err), "the database does not exist");
    pg_destroy(pg);
}

static void too_few_connections_are_noticed(void) {
    char url[256];
    struct pg *owner = open_url(test_url("PG_TEST_URL"));
    CHECK(!pg_short_of_connections());
    CHECK_OK(pg_script(owner,
                       "DROP ROLE IF EXISTS test_pg_limited; "
                       "CREATE ROLE test_pg_limited LOGIN CONNECTION LIMIT 0",
                       WAIT_MS, &err),
             &err);
    snprintf(url, sizeof url, "postgresql://test_pg_limited@127.0.0.1:%d/postgres",
             proxy_url_port(test_url("PG_TEST_URL")));
    struct pg *pg = create(&(struct pg_options){.url = url});
    CHECK(!pg_connect(pg, &err));
    CHECK_TEXT(err.sqlstate, "53300");
    CHECK(pg_short_of_connections());
    CHECK_HAS(pg_plain_reason(&err), "no more connections");
    pg_destroy(pg);
    run(owner, "DROP ROLE test_pg_limited");
    pg_destroy(owner);
}

/* The reason in a probe names neither server nor role nor the server's text. */
static void a_plain_reason_has_no_text_of_the_server(void) {
    struct pg *pg = create(&(struct pg_options){.url = "postgresql://who@127.0.0.1:1/x"});
    CHECK(!pg_connect(pg, &err));
    CHECK_HAS(err.text, "127.0.0.1");
    CHECK_TEXT(pg_plain_reason(&err), "cannot connect to the database");
    pg_destroy(pg);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void values_do_not_depend_on_the_settings_of_the_database(void) {
    static const struct {
        const char *setting, *sql, *want;
    } cases[] = {
        {"extra_float_digits%3D0", "SELECT (0.1::float8 + 0.2::float8)::text",
         "0.30000000000000004"},
        {"array_nulls%3Doff", "SELECT ('{NULL}'::text[])[1] IS NULL", "t"},
        {"datestyle%3DGerman", "SELECT '01/02/2025'::date", "2025-01-02"},
        {"datestyle%3DISO,DMY", "SELECT '01/02/2025'::date", "2025-01-02"},
        {"intervalstyle%3Dsql_standard", "SELECT '1 day 02:00'::interval", "1 day 02:00:00"},
        {"bytea_output%3Descape", "SELECT '\\xff'::bytea", "\\xff"},
        {"timezone%3DAsia/Tokyo", "SELECT '2025-01-01 00:00Z'::timestamptz",
         "2025-01-01 00:00:00+00"},
        {"standard_conforming_strings%3Doff", "SELECT '\\n' = E'\\\\n'", "t"},
        {"transform_null_equals%3Don", "SELECT (1 = NULL) IS NULL", "t"},
        {"quote_all_identifiers%3Don", "SELECT quote_ident('a')", "a"},
        {"xmlbinary%3Dhex", "SHOW xmlbinary", "base64"},
        {"default_transaction_isolation%3Dserializable", "SHOW transaction_isolation",
         "read committed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char option[128];
        snprintf(option, sizeof option, "-c%%20%s", cases[i].setting);
        struct pg *pg = open_url(with_option(option));
        if (strcmp(ask(pg, cases[i].sql), cases[i].want) != 0) {
            TEST_FAIL("%s: %s gives %s", cases[i].setting, cases[i].sql, ask(pg, cases[i].sql));
        }
        pg_destroy(pg);
    }
}

/* ---- behind a pooler ------------------------------------------------------------------------- */

static void settings_do_not_reach_the_pooler_s_other_clients(void) {
    struct pg *shadow = create(&(struct pg_options){.url = test_url("PGBOUNCER_TEST_URL"),
                                                    .search_path = "test_pg_shadow, public"});
    CHECK_OK(pg_connect(shadow, &err), &err);
    CHECK_TEXT(ask(shadow, "SHOW search_path"), "test_pg_shadow, public");
    struct pg *other = open_url(test_url("PGBOUNCER_TEST_URL"));
    CHECK_TEXT(ask(other, "SHOW search_path"), "\"$user\", public");
    CHECK_TEXT(ask(shadow, "SHOW search_path"), "test_pg_shadow, public");
    CHECK_TEXT(ask(other, "SHOW timezone"), "UTC");
    pg_destroy(shadow);
    pg_destroy(other);
}

/* By our names: a pooler that keeps statements gives them its own. */
#define OWN_PREPARED "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'agg%'"

static void statements_do_not_collide_with_those_of_the_poolers_other_clients(void) {
    struct pg *one = open_url(test_url("PGBOUNCER_TEST_URL"));
    struct pg *other = open_url(test_url("PGBOUNCER_TEST_URL"));
    for (int round = 0; round < 3; round++) {
        CHECK_TEXT(ask(one, "SELECT 'of one'"), "of one");
        CHECK_TEXT(ask(other, "SELECT 'of the other'"), "of the other");
    }
    CHECK_TEXT(ask(one, OWN_PREPARED), "0");
    pg_destroy(one);
    pg_destroy(other);
}

static void a_transaction_behind_a_pooler_stays_one_transaction(void) {
    struct pg *pg = create(&(struct pg_options){.url = test_url("PGBOUNCER_TEST_URL"),
                                                .search_path = "test_pg_shadow, public"});
    CHECK_OK(pg_connect(pg, &err), &err);
    run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    CHECK_TEXT(ask(pg, "SHOW search_path"), "test_pg_shadow, public");
    CHECK_TEXT(ask(pg, "SHOW transaction_isolation"), "repeatable read");
    run(pg, "CREATE TABLE public.test_pg_pooled (a int)");
    CHECK(!pg_query(pg, "divide", "SELECT 1 / 0", NULL, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "22012");
    run(pg, "ROLLBACK");
    CHECK_TEXT(ask(pg, "SELECT to_regclass('test_pg_pooled') IS NULL"), "t");
    /* Groups as ingestion sends them. */
    CHECK(pg_send(pg, "BEGIN", "BEGIN", NULL, false, &err));
    CHECK(pg_send(pg, "make", "CREATE TABLE public.test_pg_pooled (a int)", NULL, false, &err));
    CHECK(pg_send(pg, "COMMIT", "COMMIT", NULL, false, &err));
    CHECK_OK(pg_finish(pg, WAIT_MS, NULL, NULL, &err), &err);
    CHECK_TEXT(ask(pg, "SELECT to_regclass('test_pg_pooled') IS NULL"), "f");
    run(pg, "DROP TABLE public.test_pg_pooled");
    pg_destroy(pg);
}

/* With a pooler that keeps statements: PGBOUNCER names PgBouncer 1.21 or later. */
static void a_plan_that_a_pooler_keeps_is_made_again_after_the_table_was_altered(void) {
    struct pg *pg = open_url(test_url("PGBOUNCER_TEST_URL"));
    if (!pg->keeps_statements) {
        pg_destroy(pg);
        TEST_SKIP("this PgBouncer keeps no statements");
    }
    run(pg, "DROP TABLE IF EXISTS public.test_pg_altered");
    run(pg, "CREATE TABLE public.test_pg_altered AS SELECT 1 AS a");
    CHECK_TEXT(ask(pg, "SELECT * FROM test_pg_altered"), "1");
    CHECK_TEXT(ask(pg, "SELECT * FROM test_pg_altered"), "1");
    run(pg, "ALTER TABLE public.test_pg_altered ADD b int");
    err_clear(&err);
    CHECK(!pg_query(pg, "ask", "SELECT * FROM test_pg_altered", NULL, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "0A000");
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    err_clear(&err);
    CHECK_OK(pg_wake(pg, WAIT_MS, &err), &err);
    CHECK_TEXT(ask(pg, "SELECT * FROM test_pg_altered"), "1");
    CHECK(pg->keeps_statements);
    run(pg, "DROP TABLE public.test_pg_altered");
    pg_destroy(pg);
}

static void no_statement_is_prepared_where_the_setting_says_never(void) {
    pg_set_prepare(PG_PREPARE_NEVER);
    struct pg *pg = open_url(test_url("PGBOUNCER_TEST_URL"));
    CHECK(!pg->keeps_statements);
    CHECK_TEXT(ask(pg, OWN_PREPARED), "0");
    pg_destroy(pg);
    struct pg *direct = open_url(test_url("PG_TEST_URL"));
    CHECK_TEXT(ask(direct, OWN_PREPARED), "1");
    pg_destroy(direct);
    pg_set_prepare(PG_PREPARE_AUTO);
}

/* The pooler's next transaction is on a new connection to the server. */
static void end_server_connection_of(struct pg *pg) {
    char end[64];
    snprintf(end, sizeof end, "SELECT pg_terminate_backend(%s, 5000)",
             ask(pg, "SELECT pg_backend_pid()"));
    struct pg *direct = open_url(test_url("PG_TEST_URL"));
    CHECK_TEXT(ask(direct, end), "t");
    pg_destroy(direct);
}

/* The last case: the process prepares no more. */
static void a_pooler_that_loses_a_statement_gets_no_more(void) {
    pg_set_prepare(PG_PREPARE_ALWAYS);
    struct pg *pg = open_url(test_url("PGBOUNCER_TEST_URL"));
    CHECK(pg->keeps_statements);
    CHECK_TEXT(ask(pg, "SELECT 'kept'"), "kept");
    end_server_connection_of(pg);
    err_clear(&err);
    if (!pg_query(pg, "ask", "SELECT 'kept'", NULL, WAIT_MS, NULL, &err)) {
        CHECK_TEXT(err.sqlstate, "26000");
        CHECK_INT(err.kind, ERR_UNAVAILABLE);
        CHECK(!pg_connected(pg));
        err_clear(&err);
        CHECK_OK(pg_wake(pg, WAIT_MS, &err), &err);
        CHECK(!pg->keeps_statements);
    } /* else PgBouncer has prepared it again */
    CHECK_TEXT(ask(pg, "SELECT 'kept'"), "kept");
    CHECK_TEXT(ask(pg, OWN_PREPARED), "0");
    pg_destroy(pg);
    pg_set_prepare(PG_PREPARE_AUTO);
}

static void start_up_options_of_the_url_are_refused_with_what_to_do(void) {
    char url[256];
    snprintf(url, sizeof url, "%s?options=-c%%20work_mem%%3D1MB", test_url("PGBOUNCER_TEST_URL"));
    struct pg *pg = create(&(struct pg_options){.url = url});
    CHECK(!pg_connect(pg, &err));
    CHECK(strstr(err.text, "unsupported startup parameter"));
    CHECK(strstr(err.text, "take `options` out of the URL"));
    pg_destroy(pg);
}

static const struct test_case cases[] = {
    {"a frozen first server does not hide the second",
     a_frozen_first_server_does_not_hide_the_second},
    {"a short deadline reaches the second server", a_short_deadline_reaches_the_second_server},
    {"connect_timeout of the URL is kept to", connect_timeout_of_the_url_is_kept_to},
    {"a writing connection skips read-only servers", a_writing_connection_skips_read_only_servers},
    {"several hosts are refused if a standby is preferred",
     several_hosts_are_refused_if_a_standby_is_preferred},
    {"a refused login says why as a code", a_refused_login_says_why_as_a_code},
    {"too few connections are noticed", too_few_connections_are_noticed},
    {"a plain reason has no text of the server", a_plain_reason_has_no_text_of_the_server},
    {"values do not depend on the settings of the database",
     values_do_not_depend_on_the_settings_of_the_database},
    {"settings do not reach the pooler's other clients",
     settings_do_not_reach_the_pooler_s_other_clients},
    {"statements do not collide with those of the pooler's other clients",
     statements_do_not_collide_with_those_of_the_poolers_other_clients},
    {"a transaction behind a pooler stays one transaction",
     a_transaction_behind_a_pooler_stays_one_transaction},
    {"a plan that a pooler keeps is made again after the table was altered",
     a_plan_that_a_pooler_keeps_is_made_again_after_the_table_was_altered},
    {"no statement is prepared where the setting says never",
     no_statement_is_prepared_where_the_setting_says_never},
    {"start-up options of the URL are refused with what to do",
     start_up_options_of_the_url_are_refused_with_what_to_do},
    {"a pooler that loses a statement gets no more", a_pooler_that_loses_a_statement_gets_no_more},
};

TEST_MAIN(cases)
