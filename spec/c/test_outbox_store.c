/* outbox store: stored, repeated, conflicting and old messages. Needs PG_TEST_URL. */
#include <libpq-fe.h>
#include <pthread.h>
#include "outbox/outbox.h"

#include "base/log.h"
#include "base/metrics.h"
#include "outbox_tables.h"

#define DATABASE "test_outbox_store"
#define HOUR_US 3600000000LL

static struct pg *pg;
static struct pg_params *params;
static struct err err;

static void begin(void) {
    log_configure(LOG_ERROR, false);
    pg = outbox_database_make(DATABASE);
    params = pg_params_create();
}

static void end(void) {
    outbox_database_drop(pg, DATABASE);
    pg_params_destroy(params);
}

static struct outbox_message message(const char *identity, const char *key, const char *value) {
    return (struct outbox_message){
        .topic = slice_of("news"),
        .key = slice_of(key),
        .value = slice_of(value),
        .identity = slice_of(identity),
        .fact_at_us = clock_wall_us(),
        .source = slice_of("reaction news"),
        .scripts = slice_of("abc"),
    };
}

static bool add_result(void *context, size_t index, PGresult *result, struct err *reason) {
    (void)index;
    (void)reason;
    outbox_stored_add(context, result);
    return true;
}

static bool store(const struct outbox_message *messages, size_t count,
                  struct outbox_stored *stored) {
    *stored = (struct outbox_stored){0};
    err_clear(&err);
    return outbox_send(pg, params, messages, count, 24, &err) &&
           pg_finish(pg, OUTBOX_WAIT_MS, add_result, stored, &err);
}

static void messages_are_stored_in_order_and_unchanged(void) {
    struct outbox_stored stored;
    begin();
    struct outbox_message messages[] = {message("b", "k", "1"), message("a", NULL, "2\xC3\xA9")};
    messages[0].headers = slice_of("{\"event_id\": \"b\"}");
    messages[0].traceparent = slice_of("00-1-2-01");
    CHECK_OK(store(messages, 2, &stored), &err);
    CHECK_INT(stored.pending, 2);
    CHECK_INT(stored.settled + stored.known + stored.conflicting, 0);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(concat_ws('|', identity, topic, key, "
                              "convert_from(value, 'UTF8'), headers, source, scripts, traceparent, "
                              "state), ';' ORDER BY id) FROM aggregator_state.outbox"),
               "b|news|k|1|{\"event_id\": \"b\"}|reaction news|abc|00-1-2-01|pending;"
               "a|news|2\xC3\xA9|{}|reaction news|abc|pending");
    end();
}

static void a_repeated_fact_changes_nothing(void) {
    struct outbox_stored stored;
    begin();
    struct outbox_message one = message("a", "k", "1"), same[] = {one, one};
    CHECK_OK(store(&one, 1, &stored), &err);
    outbox_script(pg, "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now()");
    CHECK_OK(store(same, 2, &stored), &err);
    CHECK_INT(stored.pending, 0);
    CHECK_INT(stored.known, 2);
    CHECK_INT(stored.conflicting, 0);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(state, ',') FROM aggregator_state.outbox"),
               "sent");
    end();
}

static void an_identity_never_has_two_contents(void) {
    struct outbox_stored stored;
    struct metric_cell *conflicts =
        metric_single(METRIC_COUNTER, "ras_outbox_conflicts_total",
                      "Messages with the identity of another one and other content: they are not "
                      "published.");
    begin();
    log_mute(true);
    double before = metric_value(conflicts);
    struct outbox_message messages[] = {message("a", "k", "1"), message("a", "k", "2")};
    CHECK_OK(store(messages, 2, &stored), &err); /* in one statement */
    CHECK_INT(stored.pending, 1);
    CHECK_INT(stored.known, 1);
    CHECK_INT(stored.conflicting, 1);
    CHECK_TEXT(stored.conflict, "a");
    CHECK_TEXT(stored.conflict_key, "k");
    CHECK(stored.conflict_source[0] && stored.conflict_topic[0]);
    struct outbox_message other_key = message("a", NULL, "1"),
                          other_headers = message("a", "k", "1");
    other_headers.headers = slice_of("{\"x\": \"y\"}");
    CHECK_OK(store(&other_key, 1, &stored), &err); /* in a later one */
    CHECK_INT(stored.conflicting, 1);
    outbox_stored_count(&stored);
    CHECK_OK(store(&other_headers, 1, &stored), &err);
    CHECK_INT(stored.conflicting, 1);
    CHECK_INT(metric_value(conflicts) - before, 1);
    CHECK_TEXT(
        outbox_ask(
            pg, "SELECT string_agg(convert_from(value, 'UTF8'), ',') FROM aggregator_state.outbox"),
        "1");
    log_mute(false);
    end();
}

static void a_fact_older_than_the_horizon_is_settled_not_sent(void) {
    struct outbox_stored stored;
    begin();
    struct outbox_message messages[] = {message("old", "k", "1"), message("young", "k", "1")};
    messages[0].fact_at_us -= 24 * HOUR_US + 60000000;
    messages[1].fact_at_us -= 24 * HOUR_US - 60000000;
    CHECK_OK(store(messages, 2, &stored), &err);
    CHECK_INT(stored.settled, 1);
    CHECK_INT(stored.pending, 1);
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(concat_ws(' ', identity, state, done_at IS NULL), "
                              "',' ORDER BY id) FROM aggregator_state.outbox"),
               "old settled f,young pending t");
    end();
}

static void a_value_that_postgres_cannot_store_is_an_input_error(void) {
    struct outbox_stored stored;
    begin();
    struct outbox_message bad = message("a", "\xFF", "1");
    CHECK(!store(&bad, 1, &stored));
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_TEXT(outbox_ask(pg, "SELECT count(*) FROM aggregator_state.outbox"), "0");
    end();
}

static void a_rolled_back_transaction_stores_nothing(void) {
    struct outbox_stored stored;
    begin();
    struct outbox_message one = message("a", "k", "1");
    outbox_script(pg, "BEGIN");
    CHECK_OK(store(&one, 1, &stored), &err);
    outbox_script(pg, "ROLLBACK");
    CHECK_TEXT(outbox_ask(pg, "SELECT count(*) FROM aggregator_state.outbox"), "0");
    CHECK_OK(store(&one, 1, &stored), &err);
    CHECK_INT(stored.pending, 1);
    end();
}

/* A process of the fleet: one transaction that stores messages of the identities. */
struct storing {
    const char *const *identities; /* three */
    struct err err;
};

static void *store_all(void *context) {
    struct storing *storing = context;
    struct outbox_message messages[3];
    struct pg *other = outbox_connect(DATABASE);
    struct pg_params *values = pg_params_create();
    struct outbox_stored stored = {0};
    for (int i = 0; i < 3; i++) {
        messages[i] = message(storing->identities[i], "k", "1");
    }
    (void)(pg_send(other, "begin", "BEGIN", NULL, false, &storing->err) &&
           outbox_send(other, values, messages, 3, 24, &storing->err) &&
           pg_send(other, "commit", "COMMIT", NULL, false, &storing->err) &&
           pg_finish(other, OUTBOX_WAIT_MS, add_result, &stored, &storing->err));
    pg_params_destroy(values);
    pg_destroy(other);
    return NULL;
}

/* Two processes store the same facts, found in opposite order. Each begins while a third holds the
 * middle one, so that both have what they take before it. */
static void two_that_store_the_same_facts_wait_for_each_other_in_one_order(void) {
    const char *const one[] = {"x", "m", "y"}, *const opposite[] = {"y", "m", "x"};
    struct storing storing[2] = {{.identities = one}, {.identities = opposite}};
    struct outbox_stored stored;
    pthread_t threads[2];
    begin();
    struct pg *watch = outbox_connect(DATABASE);
    struct outbox_message middle = message("m", "k", "1");
    outbox_script(pg, "BEGIN");
    CHECK_OK(store(&middle, 1, &stored), &err);
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, store_all, &storing[i]);
    }
    WAIT_UNTIL(strcmp(outbox_ask(watch, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a "
                                        "USING (pid) WHERE datname = current_database() AND NOT "
                                        "granted"),
                      "2") == 0);
    outbox_script(pg, "ROLLBACK");
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK_TEXT(storing[i].err.text, "");
    }
    const char *order = outbox_ask(watch, "SELECT string_agg(identity, '' ORDER BY id) FROM "
                                          "aggregator_state.outbox");
    CHECK(strcmp(order, "xmy") == 0 || strcmp(order, "ymx") == 0);
    pg_destroy(watch);
    end();
}

static void no_messages_no_statement(void) {
    struct outbox_stored stored;
    begin();
    CHECK_OK(store(NULL, 0, &stored), &err);
    PGresult *rows = NULL;
    CHECK_OK(pg_query(pg, "other", "SELECT 1", NULL, OUTBOX_WAIT_MS, &rows, &err), &err);
    CHECK(!outbox_stored_add(&stored, rows));
    PQclear(rows);
    end();
}

static const struct test_case cases[] = {
    {"messages are stored in order and unchanged", messages_are_stored_in_order_and_unchanged},
    {"a repeated fact changes nothing", a_repeated_fact_changes_nothing},
    {"an identity never has two contents", an_identity_never_has_two_contents},
    {"a fact older than the horizon is settled, not sent",
     a_fact_older_than_the_horizon_is_settled_not_sent},
    {"a value that Postgres cannot store is an input error",
     a_value_that_postgres_cannot_store_is_an_input_error},
    {"a rolled-back transaction stores nothing", a_rolled_back_transaction_stores_nothing},
    {"two that store the same facts wait for each other in one order",
     two_that_store_the_same_facts_wait_for_each_other_in_one_order},
    {"no messages, no statement", no_messages_no_statement},
};

TEST_MAIN(cases)
