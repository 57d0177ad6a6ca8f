/* Runs the scripts' queries with values of the view's rows. Needs PG_TEST_URL. What Citus adds is
 * tested by spec/integration/test_citus.py, and here by a function that tells copies from the
 * tables. */
#include "check/query_samples.h"
#include "scripts.h"
#include "test_database.h"

static struct scripts scripts;
static struct err err;
static char summary[256];
static const char *changed_tables = ""; /* statements, after the tables are made */

static void begin(void) {
    scripts_begin(&scripts);
    test_database_renew("test_query_samples", true);
    scripts.config.postgres.url = (char *)test_database_url("test_query_samples");
    scripts.config.postgres.connect_timeout_ms = 5000;
}

static void run(struct sql_session *session, const char *sql) {
    struct err failure = {0};
    CHECK_OK(sql_run(session, &failure, "%s", sql), &failure);
}

/* What is said of the scripts, "" where nothing is. */
static const char *checked(bool on_citus) {
    struct sql_session session;
    struct buffer text = {0};
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    CHECK_OK(sql_session_open(&session, &scripts.config, "test", 10000, &err), &err);
    run(&session, "CREATE TABLE things (id text PRIMARY KEY, said_at timestamptz, said_event_id "
                  "uuid, word text)");
    run(&session, "INSERT INTO things SELECT n, now(), gen_random_uuid(), 'word' "
                  "FROM generate_series(1, 5) n");
    CHECK_OK(pg_script(session.pg, changed_tables, TEST_DATABASE_WAIT_MS, &err), &err);
    err_clear(&err);
    bool good = query_samples_check(&session, &scripts.config, on_citus, generation, &text, &err);
    CHECK(good == !err.text[0]);
    snprintf(summary, sizeof summary, "%s", text.data);
    sql_session_close(&session);
    test_database_renew("test_query_samples", false);
    script_generation_unref(generation);
    buffer_free(&text);
    scripts_end(&scripts);
    return err.text;
}

/* Of NULL it returns no row, and nothing fails. */
static void a_query_that_fails_with_rows_is_named(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql",
                  "SELECT query_to_xml('SELECT x FROM nowhere', true, true, '') FROM things "
                  "WHERE id = :id::text");
    scripts_write(&scripts, "queries/b.sql", "SELECT word FROM things WHERE word = :word::text");
    const char *got = checked(false);
    CHECK_HAS(got, "/queries/a.sql: with values of the view: ");
    CHECK_HAS(got, "nowhere");
    CHECK(!strstr(got, "b.sql"));
}

static void a_query_that_writes_or_judges_its_values_is_no_mistake(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql", "DELETE FROM things WHERE id = :id::text");
    scripts_write(&scripts, "queries/b.sql", "SELECT 1 / :count::integer FROM things");
    scripts_write(&scripts, "queries/c.sql", "SELECT (:id::text)::uuid");
    CHECK_TEXT(checked(false), "");
    CHECK_HAS(summary, "runs with values of the view");
}

/* As in a large table where few rows have one: Postgres cancels the look-up. */
static void a_value_that_takes_too_long_to_find_is_left_out(void) {
    begin();
    changed_tables = "ALTER TABLE things RENAME TO stored; "
                     "CREATE FUNCTION looked_for(text) RETURNS text STABLE LANGUAGE plpgsql AS "
                     "$$ BEGIN RAISE SQLSTATE '57014'; END $$; "
                     "CREATE VIEW things AS SELECT id, said_at, said_event_id, looked_for(id) AS "
                     "word FROM stored";
    scripts_write(&scripts, "queries/a.sql", "SELECT id FROM things WHERE id = :word::text");
    scripts_write(&scripts, "queries/b.sql",
                  "SELECT said_at FROM things WHERE id = :id::text OR id = :word::text");
    CHECK_TEXT(checked(false), "");
    CHECK_TEXT(summary, "4 runs with values of the view");
    changed_tables = "";
}

static void on_citus_other_rows_than_from_copies_are_named(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql",
                  "SELECT id, (SELECT relpersistence FROM pg_class WHERE oid = 'things'::regclass) "
                  "FROM things WHERE id = :id::text");
    scripts_write(&scripts, "queries/b.sql", "SELECT id FROM things");
    const char *got = checked(true);
    CHECK_HAS(got,
              "/queries/a.sql: on Citus its rows are not those of the same tables on one server: "
              "1 | p, not 1 | t");
    CHECK(!strstr(got, "b.sql"));
}

static void on_citus_what_was_compared_is_said(void) {
    begin();
    scripts_write(&scripts, "queries/b.sql", "SELECT id FROM things WHERE id = :id::text");
    CHECK_TEXT(checked(true), "");
    CHECK_TEXT(summary, "3 runs with values of the view, 3 gave the rows that one server gives");
}

static void a_query_may_have_many_parameters(void) {
    struct buffer sql = {0};
    begin();
    buffer_append_text(&sql, "SELECT word FROM things WHERE id = :id::text");
    for (int i = 0; i < 40; i++) {
        buffer_append_format(&sql, " OR id = :id_%d::text", i);
    }
    scripts_write(&scripts, "queries/a.sql", "%s", sql.data);
    CHECK_TEXT(checked(false), "");
    CHECK_TEXT(summary, "3 runs with values of the view");
    buffer_free(&sql);
}

static const struct test_case cases[] = {
    {"a query that fails with rows is named", a_query_that_fails_with_rows_is_named},
    {"a query that writes or judges its values is no mistake",
     a_query_that_writes_or_judges_its_values_is_no_mistake},
    {"a value that takes too long to find is left out",
     a_value_that_takes_too_long_to_find_is_left_out},
    {"on Citus other rows than from copies are named",
     on_citus_other_rows_than_from_copies_are_named},
    {"a query may have many parameters", a_query_may_have_many_parameters},
    {"on Citus what was compared is said", on_citus_what_was_compared_is_said},
};

TEST_MAIN(cases)
