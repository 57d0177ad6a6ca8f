/* What `verify` and `rebuild` want of a row with types and sets, where the log is complete and
 * where it has lost events. Needs PG_TEST_URL. */
#include "scripts.h"
#include "pg_server.h"
#include "rebuild/compare_sql.h"
#include "view/view_draft.h"

static const char declared_view[] =
    "return { { name = 'typed', key = { { 'id', 'uuid' } }, groups = {\n"
    "  { name = 'said', rule = 'latest', columns = { { 'n', 'bigint' } } },\n"
    "  { name = 'tags', rule = 'set', limit = 3, columns = { { 'tags', 'text[]' } } },\n"
    "  { name = 'votes', rule = 'count', columns = { { 'vote_count', 'integer' } } } } } }";
#define ID "0123abcd-4567-89ef-0123-456789abcdef"
#define VOTE "fa23abcd-4567-89ef-0123-456789abcde"

static const struct view *view;

static void run(const char *sql) {
    CHECK_OK(pg_script(pg, sql, WAIT_MS, &err), &err);
}

static void run_statement(const struct compare_scope *scope, enum compare_statement statement) {
    struct buffer sql = {0};
    compare_sql(scope, &view->tables[0], statement, &sql);
    run(sql.data);
    buffer_free(&sql);
}

/* Repairs the live table from its shadow. */
static void repair(const struct compare_scope *scope) {
    run("DROP TABLE IF EXISTS shadow.differences_typed");
    run_statement(scope, COMPARE_ALL);
    run_statement(scope, COMPARE_DELETE);
    run_statement(scope, COMPARE_UPSERT);
}

static void make_tables(const char *ddl) {
    run("DROP SCHEMA IF EXISTS live CASCADE; DROP SCHEMA IF EXISTS shadow CASCADE;"
        "CREATE SCHEMA live; CREATE SCHEMA shadow; SET search_path = live");
    run(ddl);
    run("CREATE TABLE shadow.typed (LIKE live.typed INCLUDING ALL);"
        "INSERT INTO live.typed (id, tags, votes_sources) VALUES ('" ID "', '{b,x}', ARRAY['" VOTE
        "0']::uuid[]); INSERT INTO shadow.typed (id, tags, votes_sources) VALUES ('" ID
        "', '{B,a,b}', ARRAY['" VOTE "1', '" VOTE "2']::uuid[])");
}

/* The rows that stay as they are, or in part. */
static void check_kept(const struct compare_scope *scope, const char *want) {
    struct buffer sql = {0};
    buffer_append_text(&sql, "SELECT count(*) FROM (");
    compare_sql(scope, &view->tables[0], COMPARE_KEPT, &sql);
    char *parameter = strstr(sql.data, "$1::int8");
    CHECK(parameter);
    memcpy(parameter, "10      ", strlen("$1::int8"));
    buffer_append_text(&sql, ") AS kept");
    CHECK_TEXT(ask(pg, sql.data, sql.data), want);
    buffer_free(&sql);
}

static void sets_are_repaired_and_keep_what_the_log_has_lost(void) {
    struct scripts scripts;
    struct script_generation *generation;
    struct buffer ddl = {0};
    static const char row[] =
        "SELECT concat_ws(' ', tags, cardinality(votes_sources), vote_count) FROM live.typed";
    open_server();
    scripts_begin(&scripts);
    scripts_write(&scripts, "view.lua", "%s", declared_view);
    script_instance_destroy(scripts_load(&scripts, &generation));
    view = script_generation_view(generation);
    CHECK_OK(view_draft_append(pg, view, WAIT_MS, &ddl, &err), &err);
    struct compare_scope scope = {.live = "live", .shadow = "shadow"};
    make_tables(ddl.data);
    repair(&scope);
    CHECK_TEXT(ask(pg, "complete", row), "{B,a,b} 2 2");
    /* The union, cut to the least three; of what is counted, too. */
    scope.lost_before_us = INT64_MAX;
    make_tables(ddl.data);
    repair(&scope);
    CHECK_TEXT(ask(pg, "lost", row), "{B,a,b} 3 3");
    run("UPDATE live.typed SET tags = '{\"\",b}'");
    repair(&scope);
    CHECK_TEXT(ask(pg, "smaller", row), "{\"\",B,a} 3 3");
    check_kept(&scope, "1");
    /* The row is of before a lower limit: the log gives each item that stays. */
    run("UPDATE live.typed SET tags = '{B,a,b,c}', votes_sources = s.votes_sources "
        "FROM shadow.typed s");
    check_kept(&scope, "0");
    repair(&scope);
    CHECK_TEXT(ask(pg, "limit", row), "{B,a,b} 2 2");
    run("DROP SCHEMA live CASCADE; DROP SCHEMA shadow CASCADE");
    close_server();
    script_generation_unref(generation);
    scripts_end(&scripts);
    buffer_free(&ddl);
}

static const struct test_case cases[] = {
    {"sets are repaired, and keep what the log has lost",
     sets_are_repaired_and_keep_what_the_log_has_lost},
};

TEST_MAIN(cases)
