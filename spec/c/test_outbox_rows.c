/* outbox rows: which rows are taken, how long done ones stay, and what a look at them costs. Needs
 * PG_TEST_URL. */
#include "outbox/rows.h"

#include <pthread.h>

#include "bindings/pg_rows.h"
#include "stored/messages.h"
#include "relay_world.h"

#define DATABASE "test_outbox_rows"

static struct rows rows_of_the_world(void) {
    return (struct rows){.pg = world.pg,
                         .params = pg_params_create(),
                         .holder = "t",
                         .horizon_hours = 24,
                         .keep_rows = 1000};
}

static const char *ids_left(void) {
    return outbox_ask(world.pg,
                      "SELECT string_agg(id::text, ' ' ORDER BY id) FROM aggregator_state.outbox");
}

static void rows_leave_once_their_facts_cannot_be_sent_again(void) {
    int64_t pruned = 0;
    world_begin(DATABASE);
    struct rows rows = rows_of_the_world();
    store("news", 1, 8);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() - interval '49 hours', "
        "created_at = now() - interval '49 hours' WHERE id <= 2; "
        "UPDATE aggregator_state.outbox SET fact_at = now() - interval '49 hours' WHERE id = 3; "
        "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() - interval '47 hours', "
        "created_at = now() - interval '47 hours' WHERE id = 4");
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_INT(pruned, 2);
    CHECK_TEXT(ids_left(), "3 4 5 6 7 8"); /* pending ones and young facts stay */
    rows.keep_rows = 3;
    outbox_script(world.pg,
                  "UPDATE aggregator_state.outbox SET state = 'settled', done_at = now(), "
                  "fact_at = now() - id * interval '5 hours' WHERE id > 4");
    outbox_count_rows(world.pg);
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_INT(pruned, 3); /* of six rows keep_rows leaves three; the oldest facts go */
    CHECK_TEXT(ids_left(), "3 5 6");
    pg_params_destroy(rows.params);
    world_end();
}

static void a_fact_of_the_future_leaves_as_one_of_the_time_it_was_stored(void) {
    int64_t pruned = 0;
    world_begin(DATABASE);
    struct rows rows = rows_of_the_world();
    store("news", 1, 3);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox SET fact_at = '9999-01-01'; "
        "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() - interval '25 hours', "
        "created_at = now() - id * interval '25 hours' WHERE id <= 2; "
        "UPDATE aggregator_state.outbox SET done_at = created_at WHERE id = 2; "
        "UPDATE aggregator_state.outbox SET created_at = now() - interval '25 hours' WHERE id = 3");
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_TEXT(ids_left(), "1 3");
    start_relay(0);
    WAIT_UNTIL(all_done("'sent', 'settled'"));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT state FROM aggregator_state.outbox WHERE id = 3"),
               "settled");
    pg_params_destroy(rows.params);
    world_end();
}

/* Rows that a statement of the connection, known by a part of it, reads beside those that it takes.
 */
static int64_t rows_read_in_vain(const char *part, const char *params) {
    static const char label[] = "\"Rows Removed by Filter\": ";
    char sql[256];
    struct pg_result *plan;
    int64_t count = 0;
    snprintf(sql, sizeof sql,
             "SELECT name FROM pg_prepared_statements "
             "WHERE statement LIKE '%%%s%%' AND statement NOT LIKE '%%pg_prepared%%'",
             part);
    const char *name = outbox_ask(world.pg, sql);
    snprintf(sql, sizeof sql, "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE \"%s\" (%s)", name, params);
    if (!pg_query(world.pg, sql, sql, NULL, OUTBOX_WAIT_MS, &plan, &err)) {
        TEST_FAIL("%s", err.text);
        return -1;
    }
    const char *at = pg_rows_text(plan, 0, 0);
    CHECK(strstr(at, "Seq Scan") == NULL);
    while ((at = strstr(at, label))) {
        at += strlen(label);
        count += strtoll(at, NULL, 10);
    }
    pg_rows_free(plan);
    return count;
}

/* One done row each 8 s of the last 44 hours, and young ones that were settled. */
static void store_a_day_of_done_rows(void) {
    outbox_script(
        world.pg,
        "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, created_at, "
        "source, scripts, state, done_at) "
        "SELECT n, 'news', 'k', 'v', at, at, 's', 'h', 'sent', at FROM generate_series(1, 20000) "
        "n, "
        "LATERAL (SELECT now() - n * interval '8 seconds' AS at) AS t; "
        "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, "
        "source, scripts, state, done_at) "
        "SELECT -n, 'news', 'k', 'v', now(), 's', 'h', 'settled', now() "
        "FROM generate_series(1, 1000) n");
    outbox_count_rows(world.pg);
}

static void pruning_reads_only_the_rows_that_it_deletes(void) {
    int64_t pruned;
    world_begin(DATABASE);
    struct rows rows = rows_of_the_world();
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err); /* prepares the statement */
    store_a_day_of_done_rows();
    CHECK_INT(rows_read_in_vain("DELETE FROM aggregator_state.outbox", "24, 1000, 1000000"), 0);
    CHECK_TEXT(outbox_ask(world.pg, "SELECT count(*) FROM aggregator_state.outbox"), "21000");
    CHECK_INT(rows_read_in_vain("DELETE FROM aggregator_state.outbox", "24, 1000, 10000"), 0);
    CHECK_TEXT(outbox_ask(world.pg, "SELECT count(*) FROM aggregator_state.outbox"), "20000");
    pg_params_destroy(rows.params);
    world_end();
}

/* A backlog of one topic in front of ten messages of another. */
static void a_skipped_topics_backlog_is_not_read(void) {
    struct pg_result *taken;
    const char *refused[] = {"news"};
    struct rows_skipped skipped = {.topics = refused, .topic_count = 1};
    world_begin(DATABASE);
    struct rows rows = rows_of_the_world();
    store("news", 1, 20000);
    store("other", 20001, 20010);
    outbox_count_rows(world.pg);
    CHECK_OK(rows_take(&rows, &skipped, 100, 1000000, &taken, &err), &err);
    CHECK_INT(pg_rows_count(taken), 10);
    CHECK_TEXT(pg_rows_text(taken, 0, ROW_ID), "20001");
    pg_rows_free(taken);
    CHECK(rows_read_in_vain("AS before", "24, '{}', '{news}', 100, 1000000") < 5); /* topics */
    pg_params_destroy(rows.params);
    world_end();
}

static void messages_leave_while_rows_cannot_be_deleted(void) {
    struct buffer report = {0};
    world_begin(DATABASE);
    store("news", 1, 1);
    outbox_script(
        world.pg,
        "CREATE SEQUENCE deletes; "
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM nextval('deletes'); RAISE 'not now'; END$$; "
        "CREATE TRIGGER refuse BEFORE DELETE ON aggregator_state.outbox FOR EACH ROW EXECUTE "
        "FUNCTION refuse(); "
        "UPDATE aggregator_state.outbox SET state = 'sent', created_at = now() - interval '9 "
        "days', "
        "done_at = now() - interval '9 days'");
    start_relay(0);
    WAIT_UNTIL(strcmp(outbox_ask(world.pg, "SELECT is_called FROM deletes"), "t") == 0);
    for (int i = 0; i < 3; i++) {
        store("news", 2 + i, 2 + i);
        outbox_wake(world.relays[0]);
        WAIT_UNTIL(has_read((size_t)(1 + i)) && all_done("'sent'"));
        buffer_clear(&report);
        outbox_relay_report(world.relays[0], &report);
        CHECK_HAS(report.data, "\"error\":null");
    }
    CHECK_TEXT(outbox_ask(world.pg, "SELECT last_value FROM deletes"), "1");
    buffer_free(&report);
    world_end();
}

/* A relay that is alone looks for others' messages once a second. */
static void another_process_that_reports_ends_being_alone(void) {
    static const struct {
        const char *last_seen, *stopped_at;
        bool alone;
    } others[] = {{"now()", "NULL", false},
                  {"now()", "now()", true},
                  {"now() - interval '31 s'", "NULL", true}};
    world_begin(DATABASE);
    struct rows rows = rows_of_the_world();
    outbox_script(world.pg, "INSERT INTO aggregator_state.instances VALUES "
                            "('g', 'own', 'h', now(), now(), NULL, 1, 's', now())");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char sql[512];
        enum rows_lease lease;
        snprintf(sql, sizeof sql,
                 "DELETE FROM aggregator_state.instances WHERE instance = 'other'; "
                 "INSERT INTO aggregator_state.instances VALUES "
                 "('g', 'other', 'h', now(), %s, %s, 1, 's', now())",
                 others[i].last_seen, others[i].stopped_at);
        outbox_script(world.pg, sql);
        CHECK_OK(rows_claim(&rows, false, &lease, &err), &err);
        CHECK_INT(rows.alone, others[i].alone);
    }
    pg_params_destroy(rows.params);
    world_end();
}

/* ---- beside an operator -------------------------------------------------------------------- */

struct change {
    struct pg *pg;
    const char *sql; /* NULL: the relay notes that it sent both messages */
    bool done;
    struct err err;
};

static void *change_both(void *context) {
    static const struct row_result sent[] = {{1, ROW_SENT, NULL}, {2, ROW_SENT, NULL}};
    struct change *change = context;
    struct rows rows = {.pg = change->pg, .params = pg_params_create()};
    if (change->sql) {
        for (int i = 0; i < 3; i++) { /* any topic, key and id */
            pg_params_add_null(rows.params);
        }
        change->done = pg_query(change->pg, "change", change->sql, rows.params, OUTBOX_WAIT_MS,
                                NULL, &change->err);
    } else {
        change->done = rows_note(&rows, sent, 2, &change->err);
    }
    pg_params_destroy(rows.params);
    return NULL;
}

static bool sessions_wait(const char *count) {
    return strcmp(outbox_ask(world.pg, "SELECT count(*) FROM pg_stat_activity WHERE "
                                       "wait_event_type = 'Lock' AND datname = current_database()"),
                  count) == 0;
}

/* A session keeps message 1 until relay and operator both wait for a lock. The operator's statement
 * would find message 2 first, and the relay's message 1. */
static void change_beside_the_relay(const char *sql) {
    struct change changes[2] = {{outbox_connect(DATABASE), NULL, false, {0}},
                                {outbox_connect(DATABASE), sql, false, {0}}};
    struct pg *holder = outbox_connect(DATABASE);
    pthread_t threads[2];
    outbox_script(world.pg, "UPDATE aggregator_state.outbox SET attempts = 1 WHERE id = 1");
    outbox_script(changes[0].pg, "SET enable_seqscan = off; SET enable_hashjoin = off; "
                                 "SET enable_mergejoin = off");
    outbox_script(holder, "BEGIN; SELECT FROM aggregator_state.outbox WHERE id = 1 FOR UPDATE");
    pthread_create(&threads[0], NULL, change_both, &changes[0]);
    WAIT_UNTIL(sessions_wait("1"));
    pthread_create(&threads[1], NULL, change_both, &changes[1]);
    WAIT_UNTIL(sessions_wait("2"));
    outbox_script(holder, "COMMIT");
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK_OK(changes[i].done, &changes[i].err);
        pg_destroy(changes[i].pg);
    }
    pg_destroy(holder);
    CHECK_TEXT(outbox_ask(world.pg, "SELECT string_agg(state, ' ') FROM aggregator_state.outbox"),
               "sent sent");
}

static void an_operator_and_the_relay_do_not_wait_for_each_other(void) {
    world_begin(DATABASE);
    store("news", 1, 2);
    change_beside_the_relay(messages_drop_sql);
    outbox_script(world.pg, "UPDATE aggregator_state.outbox SET state = 'failed'");
    change_beside_the_relay(messages_retry_sql);
    world_end();
}

static void pruning_skips_what_another_session_has_locked(void) {
    int64_t pruned = 0;
    world_begin(DATABASE);
    struct rows rows = rows_of_the_world();
    struct pg *holder = outbox_connect(DATABASE);
    store("news", 1, 2);
    outbox_script(world.pg, "UPDATE aggregator_state.outbox SET state = 'failed', "
                            "done_at = now() - interval '49 hours'");
    outbox_script(holder, "BEGIN; SELECT FROM aggregator_state.outbox WHERE id = 1 FOR UPDATE");
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_INT(pruned, 1);
    CHECK_TEXT(ids_left(), "1");
    pg_destroy(holder);
    pg_params_destroy(rows.params);
    world_end();
}

static const struct test_case cases[] = {
    {"rows leave once their facts cannot be sent again",
     rows_leave_once_their_facts_cannot_be_sent_again},
    {"a fact of the future leaves as one of the time it was stored",
     a_fact_of_the_future_leaves_as_one_of_the_time_it_was_stored},
    {"pruning reads only the rows that it deletes", pruning_reads_only_the_rows_that_it_deletes},
    {"a skipped topic's backlog is not read", a_skipped_topics_backlog_is_not_read},
    {"messages leave while rows cannot be deleted", messages_leave_while_rows_cannot_be_deleted},
    {"another process that reports ends being alone",
     another_process_that_reports_ends_being_alone},
    {"an operator and the relay do not wait for each other",
     an_operator_and_the_relay_do_not_wait_for_each_other},
    {"pruning skips what another session has locked",
     pruning_skips_what_another_session_has_locked},
};

TEST_MAIN(cases)
