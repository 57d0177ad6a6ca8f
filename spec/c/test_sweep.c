/* A step of the retention's sweep: which rows leave, and what a slow or locked one does. Needs
 * PG_TEST_URL. */
#include "retention/sweep.h"

#include "base/log.h"
#include "outbox_tables.h"
#include "scripts.h"

#define DATABASE "test_sweep"

static struct scripts scripts;
static struct script_generation *generation;
static const struct view_table *table;
static struct sweep sweep;
static struct pg *pg;
static struct err err;

static const char view_lua[] =
    "return { { name = 'things', key = { { 'id', 'text' } },\n"
    "retention = { days = 15, span_days = 1, by = 'made', with = { parts = 'thing' } },\n"
    "groups = { { name = 'made', rule = 'first', columns = { { 'word', 'text' } } } } },\n"
    "{ name = 'parts', key = { { 'id', 'text' } },\n"
    "groups = { { name = 'part', rule = 'latest', columns = { { 'thing', 'text' } } } } } }";

/* Three rows of long ago, each with a part. */
static const char tables_sql[] =
    "CREATE TABLE things (id text PRIMARY KEY, made_at timestamptz, made_event_id uuid, word text);"
    "CREATE TABLE parts (id text PRIMARY KEY, part_at timestamptz, part_event_id uuid, thing text);"
    "INSERT INTO things (id, made_at) SELECT n::text, '2020-01-01' FROM generate_series(1, 3) n;"
    "INSERT INTO parts (id, thing) SELECT n::text, n::text FROM generate_series(1, 3) n";

static void begin(void) {
    log_configure(LOG_ERROR, false);
    err_clear(&err);
    scripts_begin(&scripts);
    scripts_write(&scripts, "view.lua", "%s", view_lua);
    scripts.config.postgres.url = (char *)test_database_url(DATABASE);
    scripts.config.postgres.connect_timeout_ms = 5000;
    pg = outbox_database_make(DATABASE);
    outbox_script(pg, tables_sql);
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    table = &script_generation_view(generation)->tables[0];
    CHECK_OK(sweep_open(&sweep, generation, NULL, &err), &err);
    CHECK_INT(sweep_move(&sweep, table, 0, &err), SWEEP_DONE);
}

static void end(void) {
    sweep_close(&sweep);
    script_generation_unref(generation);
    outbox_database_drop(pg, DATABASE);
    scripts_end(&scripts);
}

static enum sweep_result step(void) {
    int64_t rows;
    enum sweep_result result = sweep_step(&sweep, table, &rows, &err);
    CHECK_TEXT(err.text, "");
    return result;
}

static bool is_swept(void) {
    struct sweep_state state;
    CHECK_OK(sweep_read_state(&sweep.session, table, &state, &err), &err);
    return state.swept_us > 0;
}

#define LEFT "SELECT (SELECT count(*) FROM things) || ' ' || (SELECT count(*) FROM parts)"

static void a_locked_row_is_not_swept(void) {
    begin();
    outbox_script(pg, "BEGIN; SELECT FROM things WHERE id = '2' FOR UPDATE");
    CHECK_INT(step(), SWEEP_MORE);
    CHECK_INT(step(), SWEEP_DONE);
    CHECK(!is_swept());
    outbox_script(pg, "ROLLBACK");
    CHECK_INT(step(), SWEEP_MORE);
    CHECK_INT(step(), SWEEP_DONE);
    CHECK(is_swept());
    CHECK_TEXT(outbox_ask(pg, LEFT), "0 0");
    end();
}

/* Each part takes longer than a statement may. */
static void rows_that_leave_too_slowly_together_leave_one_by_one(void) {
    begin();
    outbox_script(pg, "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
                      "$$ BEGIN PERFORM pg_sleep(0.2); RETURN OLD; END $$; "
                      "CREATE TRIGGER slow BEFORE DELETE ON parts FOR EACH ROW "
                      "EXECUTE FUNCTION wait()");
    CHECK_OK(pg_script(sweep.session.pg, "SET statement_timeout = 100", 5000, &err), &err);
    for (int i = 0; i < 10 && !is_swept(); i++) {
        enum sweep_result result = step();
        CHECK(result == SWEEP_MORE || result == SWEEP_DONE);
    }
    CHECK_TEXT(outbox_ask(pg, LEFT), "0 0");
    end();
}

static const struct test_case cases[] = {
    {"a locked row is not swept", a_locked_row_is_not_swept},
    {"rows that leave too slowly together leave one by one",
     rows_that_leave_too_slowly_together_leave_one_by_one},
};

TEST_MAIN(cases)
