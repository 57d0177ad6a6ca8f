/* Checks the scripts' queries against a database: every one that cannot run is named. Needs
 * PG_TEST_URL. */
#include <stdlib.h>

#include "check/schema_check.h"
#include "scripts.h"

static struct scripts scripts;
static struct err err;

static void begin(void) {
    scripts_begin(&scripts);
    scripts.config.postgres.url = getenv("PG_TEST_URL");
    scripts.config.postgres.connect_timeout_ms = 5000;
}

static bool run(struct sql_session *session, const char *sql) {
    struct err failure = {0};
    bool ok = sql_run(session, &failure, "%s", sql);
    CHECK_OK(ok, &failure);
    return ok;
}

/* What is said of the scripts, "" where nothing is; the table `things` is as the view has it. */
static const char *checked(const char *change, enum schema_depth depth) {
    struct sql_session session;
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    CHECK_OK(sql_session_open(&session, &scripts.config, "test", 10000, &err), &err);
    run(&session, "DROP TABLE IF EXISTS things");
    run(&session, "CREATE TABLE things (id text PRIMARY KEY, said_at timestamptz, said_event_id "
                  "uuid, word text)");
    if (change) {
        run(&session, change);
    }
    err_clear(&err);
    bool good = schema_check(&session, generation, depth, &err);
    CHECK(good == !err.text[0]);
    run(&session, "DROP TABLE things");
    sql_session_close(&session);
    script_generation_unref(generation);
    scripts_end(&scripts);
    return err.text;
}

static void names_every_query_that_cannot_be_prepared(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql", "SELECT nothing FROM things");
    scripts_write(&scripts, "queries/b.sql", "SELECT word FROM things WHERE id = :id::text");
    scripts_write(&scripts, "queries/c.sql", "SELEC 1");
    const char *got = checked(NULL, SCHEMA_PREPARE);
    CHECK_HAS(got, "/queries/a.sql:1: ");
    CHECK_HAS(got, "column \"nothing\" does not exist");
    CHECK_HAS(got, "/queries/c.sql:1: ");
    CHECK(!strstr(got, "b.sql"));
}

/* Postgres counts characters of what it was sent, and names a likely column in a hint. */
static void mistakes_in_queries_have_their_line_and_the_hint(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql",
                  "-- \xC3\xA9t\xC3\xA9\nSELECT id FROM things\nWHERE id = :a_long_name::text\n"
                  "AND wrd = 'x'");
    scripts_write(&scripts, "queries/b.sql", "SELECT id FROM things\nWHERE id = :id::uuid\n");
    scripts_write(&scripts, "queries/c.sql", "SELECT id\nFROM things WHERE\n");
    const char *got = checked(NULL, SCHEMA_RUN);
    CHECK_HAS(got, "/queries/a.sql:4: column \"wrd\" does not exist (hint: Perhaps you meant to "
                   "reference the column \"things.word\".)");
    CHECK_HAS(got, "/queries/b.sql:2: operator does not exist: text = uuid (hint: No operator ");
    CHECK_HAS(got, "/queries/c.sql:2: syntax error at end of input");
}

static void a_statement_of_another_kind_is_refused_with_those_that_a_query_may_be(void) {
    static const char allowed[] = "a query is one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES";
    begin();
    scripts_write(&scripts, "queries/a.sql", "-- the zone\n/* of /* all */ */\n  SHOW timezone");
    scripts_write(&scripts, "queries/b.sql", "CALL tidy()");
    scripts_write(&scripts, "queries/c.sql", "(select 1) UNION (TABLE things LIMIT 1)");
    scripts_write(&scripts, "queries/d.sql", "select FROM WHERE");
    const char *got = checked(NULL, SCHEMA_PREPARE);
    CHECK_HAS(got, "/queries/a.sql:3: it begins with \"SHOW\": ");
    CHECK_HAS(got, "/queries/b.sql:1: it begins with \"CALL\": ");
    CHECK_HAS(got, allowed);
    CHECK(!strstr(got, "(\""));
    CHECK_HAS(got, "/queries/d.sql:1: syntax error at or near \"WHERE\"");
}

static void runs_every_query_once(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql", "SELECT 1 / count(*) FROM things");
    scripts_write(&scripts, "queries/b.sql", "DELETE FROM things RETURNING nextval('no_such')");
    scripts_write(&scripts, "queries/c.sql",
                  "SELECT to_char(now(), 'YYYY'), query_to_xml('SELECT "
                  "x FROM nowhere', true, true, '')");
    const char *got = checked("INSERT INTO things VALUES ('kept')", SCHEMA_RUN);
    CHECK(!strstr(got, "a.sql"));
    CHECK_HAS(got, "/queries/b.sql:1: ");
    CHECK_HAS(got, "/queries/c.sql: ");
    CHECK_HAS(got, "nowhere");
    begin();
    scripts_write(&scripts, "queries/c.sql",
                  "SELECT query_to_xml('SELECT x FROM nowhere', true, "
                  "true, '')");
    CHECK_TEXT(checked(NULL, SCHEMA_PREPARE), "");
}

static void a_trial_execution_leaves_nothing(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql", "DELETE FROM things");
    scripts_write(&scripts, "queries/b.sql",
                  "SELECT 1 / (SELECT count(*) FROM things WHERE id = 'kept')");
    const char *got = checked("INSERT INTO things VALUES ('kept')", SCHEMA_RUN);
    CHECK_HAS(got, "/queries/a.sql: it writes things, a table of the view");
    CHECK(!strstr(got, "b.sql"));
}

static void errors_that_null_parameters_may_cause_are_ignored(void) {
    begin();
    scripts_write(&scripts, "queries/b.sql",
                  "SELECT (coalesce(:at::text, '') || 'Z')::timestamptz");
    CHECK_TEXT(checked(NULL, SCHEMA_RUN), "");
}

static void two_columns_of_one_name_are_named(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql",
                  "SELECT t.*, t.word FROM things t WHERE t.id = :id::text -- all");
    scripts_write(&scripts, "queries/b.sql", "SELECT 1 AS a, 2 AS \"A\", 3 AS b");
    const char *got = checked(NULL, SCHEMA_RUN);
    CHECK_HAS(got, "/queries/a.sql: it returns two columns named \"word\"");
    CHECK(!strstr(got, "b.sql"));
}

/* The plan names the table, although NULL is no key: the statement cannot run. */
static void a_query_that_writes_a_table_of_the_view_is_named(void) {
    begin();
    scripts_write(&scripts, "queries/a.sql", "INSERT INTO things (id) VALUES (:id::text)");
    scripts_write(&scripts, "queries/b.sql",
                  "WITH gone AS (DELETE FROM things RETURNING id) SELECT id FROM gone");
    scripts_write(&scripts, "queries/c.sql", "SELECT 'Insert on things'");
    const char *got = checked(NULL, SCHEMA_RUN);
    CHECK_HAS(got, "/queries/a.sql: it writes things, a table of the view, whose rows a rebuild");
    CHECK_HAS(got, "/queries/b.sql: it writes things, a table of the view");
    CHECK(!strstr(got, "c.sql"));
}

static void a_table_whose_name_is_a_word_of_sql_is_named(void) {
    begin();
    scripts_write(&scripts, "view.lua",
                  "return { { name = 'order', key = { { 'id', 'text' } }, groups = { { name = "
                  "'said', rule = 'latest', columns = { { 'word', 'text' } } } } } }");
    scripts_write(&scripts, "queries/a.sql", "INSERT INTO \"order\" (id) VALUES (:id::text)");
    const char *got = checked("CREATE TEMP TABLE \"order\" (id text PRIMARY KEY, said_at "
                              "timestamptz, said_event_id uuid, word text)",
                              SCHEMA_RUN);
    CHECK_HAS(got, "/queries/a.sql: it writes order, a table of the view");
}

static void problems_of_the_view_have_file_and_line(void) {
    begin();
    scripts_write(&scripts, "view.lua",
                  "return { {\nname = 'things', key = { { 'id', 'text' } },\n"
                  "groups = { { name = 'said', rule = 'latest',\n"
                  "columns = { { 'word', 'txt' } } } } } }");
    const char *got = checked("ALTER TABLE things ADD extra text NOT NULL", SCHEMA_PREPARE);
    CHECK_HAS(got, "/view.lua:4: table things: column word: no type \"txt\", and no enum of the "
                   "database: did you mean \"text\"?");
    CHECK_HAS(got, "/view.lua:2: table things: column extra: it is NOT NULL without a default");
}

static const struct test_case cases[] = {
    {"names every query that cannot be prepared", names_every_query_that_cannot_be_prepared},
    {"mistakes in queries have their line and the hint",
     mistakes_in_queries_have_their_line_and_the_hint},
    {"a statement of another kind is refused with those that a query may be",
     a_statement_of_another_kind_is_refused_with_those_that_a_query_may_be},
    {"runs every query once", runs_every_query_once},
    {"a trial execution leaves nothing", a_trial_execution_leaves_nothing},
    {"errors that NULL parameters may cause are ignored",
     errors_that_null_parameters_may_cause_are_ignored},
    {"two columns of one name are named", two_columns_of_one_name_are_named},
    {"a query that writes a table of the view is named",
     a_query_that_writes_a_table_of_the_view_is_named},
    {"a table whose name is a word of SQL is named", a_table_whose_name_is_a_word_of_sql_is_named},
    {"problems of the view have file and line", problems_of_the_view_have_file_and_line},
};

TEST_MAIN(cases)
