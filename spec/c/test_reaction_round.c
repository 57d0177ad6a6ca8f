/* A round of a reaction: marks, query, script and outbox in one transaction, concurrent with other
 * rounds and commits; what the reactor's thread makes of a round. Needs PG_TEST_URL. */
#include "reaction/round.h"

#include <pthread.h>

#include "captured.h"
#include "reaction/reactor.h"
#include "outbox_tables.h"
#include "scripts.h"

#define DATABASE "test_reaction_round"
/* The query of the key "slow" waits for this lock. */
#define GATE "4711"

static struct scripts scripts;
static struct pg *pg; /* the test's own: a commit's, another process' */
static struct err err;

static const char facts_sql[] =
    "SELECT CASE w.word WHEN 'stranger' THEN 'another key' ELSE w.key END AS key, w.word, "
    "CASE WHEN w.word = 'writes' THEN write_word()::text END AS written, 6 / (w.word <> "
    "'refused')::int AS six, "
    "CASE WHEN w.word = 'slow' THEN pg_advisory_xact_lock(" GATE ")::text END AS waited "
    "FROM words w WHERE w.key = ANY(:keys::text[]) ORDER BY w.key";

static const char reaction_lua[] =
    "return { follows = { things = 'id' }, query = 'facts', publish = function(row)\n"
    "if row.word == 'latin1' then error('caf\\233') end\n"
    "if row.word == 'bad' then error('cannot say ' .. row.key) end\n"
    "if row.word == 'for ever' then while true do end end\n"
    "if row.word ~= 'quiet' then return { topic = 'news', key = row.key, value = { row.word },\n"
    "identity = row.key .. ' is ' .. row.word, at = 4102444800000000, headers = { h = row.word } } "
    "end end }";

static void open_round(struct round *round) {
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    if (!generation) {
        exit(1); /* no case can continue */
    }
    round_open(round, outbox_connect(DATABASE), generation);
    script_generation_unref(generation);
}

static void begin(struct round *round) {
    log_configure(LOG_ERROR, false);
    log_mute(true);
    scripts_begin(&scripts);
    scripts.config.scripts.handler_timeout_ms = 300;
    scripts.config.postgres.url = (char *)test_database_url(DATABASE); /* for the thread */
    scripts.config.postgres.connect_timeout_ms = OUTBOX_WAIT_MS;
    scripts.config.postgres.statement_timeout_ms = OUTBOX_WAIT_MS;
    scripts.config.outbox.horizon_hours = 24;
    scripts_write(&scripts, "queries/facts.sql", "%s", facts_sql);
    scripts_write(&scripts, "reactions/news.lua", "%s", reaction_lua);
    pg = outbox_database_make(DATABASE);
    outbox_script(pg, "CREATE TABLE words (key text PRIMARY KEY, word text NOT NULL); "
                      "CREATE FUNCTION write_word() RETURNS int LANGUAGE sql AS "
                      "$$ DELETE FROM words RETURNING 1 $$");
    open_round(round);
}

static void end(struct round *round) {
    round_close(round);
    outbox_database_drop(pg, DATABASE);
    scripts_end(&scripts);
    log_mute(false);
}

/* As a commit does: the row and its mark in one transaction. */
static void say(const char *key, const char *word) {
    char sql[512];
    snprintf(sql, sizeof sql,
             "BEGIN; INSERT INTO words VALUES ('%s', '%s') ON CONFLICT (key) DO UPDATE SET word = "
             "excluded.word; INSERT INTO aggregator_state.reaction_marks (reaction, key, "
             "traceparent) VALUES "
             "('reactions/news', '%s', 'trace of %s'); COMMIT",
             key, word, key, word);
    outbox_script(pg, sql);
}

static enum round_result run(struct round *round, struct round_counts *counts) {
    err_clear(&err);
    return round_run(round, 0, ROUND_MAX_KEYS, counts, &err);
}

static const char *published(void) {
    return outbox_ask(
        pg,
        "SELECT string_agg(concat_ws('|', topic, key, convert_from(value, "
        "'UTF8'), headers, source, traceparent), ';' ORDER BY id) FROM aggregator_state.outbox");
}

static const char *marked(void) {
    return outbox_ask(pg, "SELECT string_agg(key || ' ' || attempts || coalesce(' ' || error, ''), "
                          "';' ORDER BY id) FROM aggregator_state.reaction_marks");
}

static void messages_of_marked_keys_are_stored_and_the_marks_removed(void) {
    struct round round;
    struct round_counts counts;
    begin(&round);
    say("a", "quiet");
    say("b", "loud");
    say("b", "louder"); /* two marks, one answer */
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_INT(counts.keys, 2);
    CHECK_INT(counts.messages, 1);
    CHECK_TEXT(published(),
               "news|b|[\"louder\"]|{\"h\": \"louder\"}|reactions/news|trace of louder");
    CHECK_TEXT(marked(), "");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_INT(counts.keys, 0);
    end(&round);
}

static void a_row_that_fails_keeps_its_own_key_marked_for_later(void) {
    struct round round;
    struct round_counts counts;
    bool due = false;
    begin(&round);
    say("a", "bad");
    say("b", "for ever");
    say("c", "good");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_INT(counts.failed, 2);
    CHECK_HAS(counts.failure, "cannot say a");
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(key, ',') FROM aggregator_state.outbox"), "c");
    CHECK_TEXT(
        outbox_ask(
            pg,
            "SELECT string_agg(key || attempts, ',' ORDER BY key) FROM "
            "aggregator_state.reaction_marks WHERE retry_at > now() AND error LIKE '%news.lua%'"),
        "a1,b1");
    CHECK_OK(round_look(&round, &due, &err), &err);
    CHECK(!due);
    outbox_script(pg, "UPDATE words SET word = 'mended'");
    CHECK_OK(round_make_due(&round, &err), &err); /* as other scripts come */
    CHECK_OK(round_look(&round, &due, &err), &err);
    CHECK(due);
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_TEXT(
        outbox_ask(pg, "SELECT string_agg(key, ',' ORDER BY id) FROM aggregator_state.outbox"),
        "c,a,b");
    CHECK_TEXT(marked(), "");
    end(&round);
}

/* Another process' round has locked a mark, and would wait for those that are made due. */
static void marks_that_another_round_has_locked_are_not_waited_for(void) {
    struct round round;
    struct round_counts counts;
    size_t keys = ROUND_MAX_KEYS;
    begin(&round);
    say("a", "bad");
    say("b", "bad");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    outbox_script(pg, "BEGIN; DELETE FROM aggregator_state.reaction_marks WHERE key = 'a'");
    CHECK_OK(round_make_due(&round, &err), &err);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(key, ',') FROM aggregator_state.reaction_marks "
                              "WHERE retry_at IS NULL"),
               "b");
    outbox_script(pg,
                  "ROLLBACK; BEGIN; DELETE FROM aggregator_state.reaction_marks WHERE key = 'b'");
    counts = (struct round_counts){.keys = 1}; /* b, the one that is due */
    CHECK_OK(round_isolate(&round, 0, &counts, "a reason", &keys, &err), &err);
    outbox_script(pg, "ROLLBACK");
    CHECK(!strstr(marked(), "a reason"));
    CHECK_OK(round_isolate(&round, 0, &counts, "a reason", &keys, &err), &err);
    CHECK_TEXT(outbox_ask(pg, "SELECT concat_ws(' ', key, attempts, error) FROM "
                              "aggregator_state.reaction_marks WHERE key = 'b'"),
               "b 2 a reason");
    end(&round);
}

static void a_key_that_fails_is_logged_with_the_trace_of_its_mark(void) {
    struct round round;
    struct round_counts counts;
    begin(&round);
    say("a", "bad");
    outbox_script(pg, "UPDATE aggregator_state.reaction_marks SET traceparent = "
                      "'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'");
    captured_begin();
    log_mute(false);
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_HAS(captured_take(), "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"");
    log_error("the next line is of no trace");
    CHECK(strstr(captured_take(), "trace_id") == NULL);
    captured_end();
    end(&round);
}

static void a_query_that_is_refused_changes_nothing(void) {
    struct round round;
    struct round_counts counts;
    size_t max_keys = ROUND_MAX_KEYS;
    begin(&round);
    say("a", "refused");
    say("b", "good");
    CHECK_INT(run(&round, &counts), ROUND_REFUSED);
    CHECK_HAS(err.text, "queries/facts.sql");
    CHECK_HAS(err.text, "division by zero");
    CHECK_INT(counts.keys, 2);
    CHECK_OK(round_isolate(&round, 0, &counts, "the reason", &max_keys, &err), &err);
    CHECK_INT(max_keys, 1);
    CHECK_TEXT(marked(), "a 0;b 0");
    CHECK_INT(round_run(&round, 0, 1, &counts, &err), ROUND_REFUSED); /* alone: the oldest */
    CHECK_OK(round_isolate(&round, 0, &counts, "the reason", &max_keys, &err), &err);
    CHECK_TEXT(marked(), "a 1 the reason;b 0");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(key, ',') FROM aggregator_state.outbox"), "b");
    end(&round);
}

static void refuses_word(const char *word, const char *wanted) {
    struct round round;
    struct round_counts counts;
    begin(&round);
    say("a", word);
    CHECK_INT(run(&round, &counts), ROUND_REFUSED);
    CHECK_HAS(err.text, wanted);
    CHECK_TEXT(marked(), "a 0");
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(word, ',') FROM words"), word);
    end(&round);
}

static void a_query_that_returns_other_keys_or_writes_is_refused(void) {
    refuses_word("stranger", "the key \"another key\", which is not among its :keys");
    refuses_word("writes", "read-only transaction");
}

static void a_failed_key_keeps_its_marks_time_and_its_reason_in_any_encoding(void) {
    struct round round;
    struct round_counts counts;
    begin(&round);
    say("a", "latin1");
    outbox_script(pg,
                  "UPDATE aggregator_state.reaction_marks SET marked_at = '2020-01-01T00:00:00Z'");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_INT(counts.failed, 1);
    CHECK_HAS(counts.failure, "caf?");
    CHECK_TEXT(
        outbox_ask(pg,
                   "SELECT marked_at = '2020-01-01T00:00:00Z' FROM aggregator_state.reaction_marks "
                   "WHERE error LIKE '%caf?%'"),
        "t");
    end(&round);
}

/* ---- beside others ------------------------------------------------------------------------- */

struct background {
    struct round *round;
    struct round_counts counts;
    enum round_result result;
    struct err err;
};

static void *run_in_background(void *context) {
    struct background *background = context;
    background->result =
        round_run(background->round, 0, ROUND_MAX_KEYS, &background->counts, &background->err);
    return NULL;
}

/* A round that stands in its query, for the gate is closed. */
static pthread_t begin_slow_round(struct background *background) {
    pthread_t thread;
    outbox_script(pg, "SELECT pg_advisory_lock(" GATE ")");
    say("a", "slow");
    CHECK(pthread_create(&thread, NULL, run_in_background, background) == 0);
    WAIT_UNTIL(strcmp(outbox_ask(pg, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = "
                                     "'advisory' AND objid = " GATE " AND NOT granted)"),
                      "t") == 0);
    return thread;
}

static void end_slow_round(pthread_t thread) {
    outbox_script(pg, "SELECT pg_advisory_unlock(" GATE ")");
    pthread_join(thread, NULL);
}

static void a_mark_set_while_its_key_is_processed_is_not_lost(void) {
    struct round round;
    struct round_counts counts;
    struct background background = {.round = &round};
    begin(&round);
    pthread_t thread = begin_slow_round(&background);
    say("a", "newer");
    end_slow_round(thread);
    CHECK_OK(background.result == ROUND_DONE, &background.err);
    CHECK_TEXT(marked(), "a 0");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(convert_from(value, 'UTF8'), ',' ORDER BY id) "
                              "FROM aggregator_state.outbox"),
               "[\"slow\"],[\"newer\"]");
    end(&round);
}

static void two_rounds_never_work_on_one_key_at_a_time(void) {
    struct round round, other;
    struct round_counts counts;
    struct background background = {.round = &round};
    begin(&round);
    open_round(&other);
    pthread_t thread = begin_slow_round(&background);
    say("a", "newer");
    say("b", "good");
    CHECK_INT(run(&other, &counts), ROUND_DONE); /* does not wait for the first */
    CHECK_INT(counts.keys, 1);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(key, ',') FROM aggregator_state.outbox"), "b");
    end_slow_round(thread);
    CHECK_INT(run(&other, &counts), ROUND_DONE);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(convert_from(value, 'UTF8'), ',' ORDER BY id) "
                              "FROM aggregator_state.outbox WHERE key = 'a'"),
               "[\"slow\"],[\"newer\"]");
    round_close(&other);
    end(&round);
}

static void a_transaction_that_is_rolled_back_marks_nothing(void) {
    struct round round;
    struct round_counts counts;
    begin(&round);
    outbox_script(pg, "BEGIN; INSERT INTO words VALUES ('a', 'never'); INSERT INTO "
                      "aggregator_state.reaction_marks "
                      "(reaction, key) VALUES ('reactions/news', 'a')");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_INT(counts.keys, 0);
    outbox_script(pg, "ROLLBACK");
    CHECK_INT(run(&round, &counts), ROUND_DONE);
    CHECK_TEXT(published(), "");
    end(&round);
}

/* ---- the thread --------------------------------------------------------------------------- */

#define BLAME "correct the script or its query"
#define WAITING "FROM pg_locks WHERE locktype = 'advisory' AND objid = " GATE " AND NOT granted"

static struct reactor *reactor_begin(struct round *round) {
    begin(round);
    log_mute(false);
    captured_begin();
    outbox_script(pg, "SELECT pg_advisory_lock(" GATE ")");
    say("a", "slow");
    struct reactor_options options = {.generation = round->generation};
    struct reactor *reactor = reactor_start(&options, &err);
    CHECK_OK(reactor != NULL, &err);
    reactor_release(reactor);
    return reactor;
}

static void reactor_end(struct reactor *reactor, struct round *round) {
    outbox_script(pg, "SELECT pg_advisory_unlock(" GATE ")");
    reactor_stop(reactor);
    captured_end();
    end(round);
}

/* Ends the connection on which the thread works on the key for the nth time. */
static void end_connection(const char *attempts) {
    WAIT_UNTIL(strcmp(outbox_ask(pg, "SELECT count(*) " WAITING), "1") == 0);
    outbox_ask(pg, "SELECT pg_terminate_backend(pid) " WAITING);
    WAIT_UNTIL(strcmp(outbox_ask(pg, "SELECT attempts FROM aggregator_state.reaction_marks"),
                      attempts) == 0);
}

static void a_lost_connection_is_blamed_on_its_key_the_second_time(void) {
    struct round round;
    struct reactor *reactor = reactor_begin(&round);
    end_connection("1");
    const char *said = captured_take();
    CHECK_HAS(said, "reactions cannot reach the database");
    CHECK(!strstr(said, BLAME));
    outbox_script(pg, "UPDATE aggregator_state.reaction_marks SET retry_at = NULL");
    end_connection("2");
    said = captured_take();
    CHECK_HAS(said, BLAME);
    CHECK_HAS(said, "\"key\":\"a\"");
    reactor_end(reactor, &round);
}

static const struct test_case cases[] = {
    {"messages of marked keys are stored and the marks removed",
     messages_of_marked_keys_are_stored_and_the_marks_removed},
    {"a row that fails keeps its own key marked for later",
     a_row_that_fails_keeps_its_own_key_marked_for_later},
    {"marks that another round has locked are not waited for",
     marks_that_another_round_has_locked_are_not_waited_for},
    {"a key that fails is logged with the trace of its mark",
     a_key_that_fails_is_logged_with_the_trace_of_its_mark},
    {"a query that is refused changes nothing", a_query_that_is_refused_changes_nothing},
    {"a query that returns other keys or writes is refused",
     a_query_that_returns_other_keys_or_writes_is_refused},
    {"a failed key keeps its mark's time and its reason in any encoding",
     a_failed_key_keeps_its_marks_time_and_its_reason_in_any_encoding},
    {"a mark set while its key is processed is not lost",
     a_mark_set_while_its_key_is_processed_is_not_lost},
    {"two rounds never work on one key at a time", two_rounds_never_work_on_one_key_at_a_time},
    {"a transaction that is rolled back marks nothing",
     a_transaction_that_is_rolled_back_marks_nothing},
    {"a lost connection is blamed on its key the second time",
     a_lost_connection_is_blamed_on_its_key_the_second_time},
};

TEST_MAIN(cases)
