/* What `verify` and `rebuild` want of a row with types and sets, where the log is complete and
 * where it has lost events; and of columns whatever their names. Needs PG_TEST_URL. */
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

/* ---- names of columns ---------------------------------------------------------------------- */

static const char view_of_letters[] =
    "local letters = {}\n"
    "for letter in ('a b d e f g h i j k m n o p q r t u v w x y z id c_'):gmatch('%S+') do\n"
    "  letters[#letters + 1] = { letter, 'text' }\n"
    "end\n"
    "return { { name = 't', key = { { 'c', 'text' }, { 'count', 'integer' } }, groups = {\n"
    "  { name = 'g', rule = 'latest', columns = letters },\n"
    "  { name = 'l', rule = 'max', columns = { { 'l', 'integer' } } },\n"
    "  { name = 's', rule = 'set', limit = 3, columns = { { 's', 'text[]' } } } } } }";

/* All live events may be lost, and have asked another system. */
static const struct compare_scope doubtful = {.live = "live",
                                              .shadow = "shadow",
                                              .lost_before_us = INT64_MAX,
                                              .since_xid = "3",
                                              .outside = true,
                                              .expires = true};

/* Two rows that differ, one of either side alone; the live ones have the newer event. */
static void make_letters(const char *ddl) {
    run("DROP SCHEMA IF EXISTS live CASCADE; DROP SCHEMA IF EXISTS shadow CASCADE;"
        "CREATE SCHEMA live; CREATE SCHEMA shadow; SET search_path = live");
    run(ddl);
    run("CREATE TABLE shadow.t (LIKE live.t INCLUDING ALL);"
        "CREATE TABLE shadow.outside_events (topic text, partition int4, \"offset\" int8, "
        "event_id uuid, at timestamptz, handler text, rests_on text);"
        "INSERT INTO shadow.outside_events VALUES ('t', 0, 7, '" ID "', '2026-01-02', 'h', 'pg');"
        "INSERT INTO live.t (c, count, g_at, g_event_id, d, id, l, s) VALUES "
        "('k', 10, '2026-01-02', '" ID "', 'old', 'i', 5, '{a}'), "
        "('k', 9, '2026-01-02', '" ID "', 'old', 'i', 5, '{a}'), "
        "('live', 1, '2026-01-02', '" ID "', 'old', 'i', 5, '{a}');"
        "INSERT INTO shadow.t (c, count, g_at, g_event_id, d, id, l, s) VALUES "
        "('k', 10, '2026-01-01', '" ID "', 'new', 'j', 4, '{b}'), "
        "('k', 9, '2026-01-01', '" ID "', 'new', 'j', 4, '{b}'), "
        "('shadow', 1, '2026-01-01', '" ID "', 'new', 'j', 4, '{b}')");
}

/* The cells in a text, rows with a space before each. */
static const char *rows_of(const struct compare_scope *scope, enum compare_statement statement,
                           int64_t limit) {
    static char text[2048];
    struct buffer sql = {0}, out = {0};
    struct pg_params *params = pg_params_create();
    PGresult *rows = NULL;
    compare_sql(scope, &view->tables[0], statement, &sql);
    if (limit > 0) {
        pg_params_add_int8(params, limit);
    }
    CHECK_OK(pg_query(pg, "letters", sql.data, params, WAIT_MS, &rows, &err), &err);
    for (int row = 0; rows && row < PQntuples(rows); row++) {
        for (int column = 0; column < PQnfields(rows); column++) {
            buffer_append_format(&out, "%s%s", column > 0 ? "," : " ",
                                 PQgetvalue(rows, row, column));
        }
    }
    snprintf(text, sizeof text, "%s", out.data ? out.data : "");
    PQclear(rows);
    pg_params_destroy(params);
    buffer_free(&sql);
    buffer_free(&out);
    return text;
}

static void check_letters_compared(void) {
    const struct compare_scope complete = {.live = "live", .shadow = "shadow", .since_xid = "3"};
    rows_of(&complete, COMPARE_CANDIDATES, 0);
    rows_of(&complete, COMPARE_RECENT, 0);
    CHECK_TEXT(rows_of(&complete, COMPARE_COUNTS, 0), " differing,2 extra,1 missing,1");
    CHECK_TEXT(rows_of(&complete, COMPARE_REPORT, 1),
               " differing,c=k count=9,g_at,2026-01-02T00:00:00+00:00,2026-01-01T00:00:00+00:00"
               " differing,c=k count=9,g_event_id," ID "," ID " differing,c=k count=9,d,old,new"
               " differing,c=k count=9,id,i,j differing,c=k count=9,l,5,4"
               " differing,c=k count=9,s,[\"a\"],[\"b\"]");
    CHECK_TEXT(rows_of(&complete, COMPARE_ROWS, 1),
               " differing,2,c=k count=9 extra,1,c=live count=1"
               " missing,1,c=shadow count=1");
    CHECK(strstr(rows_of(&complete, COMPARE_COLUMNS, 1), " d,2,c=k count=9,old,new"));
    CHECK(strstr(rows_of(&complete, COMPARE_IDS, 0), " old"));
    rows_of(&complete, COMPARE_DELETE, 0);
    rows_of(&complete, COMPARE_UPSERT, 0);
    CHECK_TEXT(ask(pg, "repaired",
                   "SELECT string_agg(concat_ws(' ', c, count, d, id, l, s), ', ' "
                   "ORDER BY c, count) FROM live.t"),
               "k 9 new j 4 {b}, k 10 new j 4 {b}, shadow 1 new j 4 {b}");
}

static void check_letters_kept(void) {
    CHECK_TEXT(rows_of(&doubtful, COMPARE_KEPT, 10),
               " 3,c=k count=9 3,c=k count=10 3,c=live count=1");
    CHECK(
        strstr(rows_of(&doubtful, COMPARE_OUTSIDE, 1), " 3,c=k count=9,g: t/0/7, h depends on pg"));
    rows_of(&doubtful, COMPARE_ALL, 0);
    CHECK_TEXT(rows_of(&doubtful, COMPARE_REPORT, 1),
               " differing,c=k count=9,s,[\"a\"],[\"a\", \"b\"]");
}

static void a_column_may_have_any_name(void) {
    struct scripts scripts;
    struct script_generation *generation;
    struct buffer ddl = {0};
    open_server();
    run("SET timezone = 'UTC'");
    scripts_begin(&scripts);
    scripts_write(&scripts, "view.lua", "%s", view_of_letters);
    script_instance_destroy(scripts_load(&scripts, &generation));
    view = script_generation_view(generation);
    CHECK_OK(view_draft_append(pg, view, WAIT_MS, &ddl, &err), &err);
    make_letters(ddl.data);
    check_letters_compared();
    make_letters(ddl.data);
    check_letters_kept();
    run("DROP SCHEMA live CASCADE; DROP SCHEMA shadow CASCADE");
    close_server();
    script_generation_unref(generation);
    scripts_end(&scripts);
    buffer_free(&ddl);
}

static const struct test_case cases[] = {
    {"sets are repaired, and keep what the log has lost",
     sets_are_repaired_and_keep_what_the_log_has_lost},
    {"a column may have any name", a_column_may_have_any_name},
};

TEST_MAIN(cases)
