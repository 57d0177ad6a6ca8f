/* relay_lease: when a process takes over the lease of another, with a clock of the test beside the
 * database's. Needs PG_TEST_URL. */
#include "outbox/relay_private.h"

#include "base/log.h"
#include "outbox_tables.h"

#define DATABASE "test_relay_lease"
#define SECOND_US 1000000LL
#define NOW_US (1000 * SECOND_US)

static struct outbox_relay relay;
static struct pg *pg;
static struct err err;

static void begin(void) {
    log_configure(LOG_ERROR + 1, false);
    pg = outbox_database_make(DATABASE);
    relay = (struct outbox_relay){.rows = {.pg = pg, .holder = "this process"}};
    relay.rows.params = pg_params_create();
    thread_init(&relay.thread);
}

static void end(void) {
    thread_free(&relay.thread);
    pg_params_destroy(relay.rows.params);
    outbox_database_drop(pg, DATABASE);
}

/* Until when, in SQL. */
static void another_holds_it_until(const char *until) {
    char sql[160];
    snprintf(sql, sizeof sql,
             "UPDATE aggregator_state.outbox_relay SET holder = 'another', until = %s", until);
    outbox_script(pg, sql);
}

static bool holds_after_claim(int64_t now_us) {
    relay.rows.until_us = 0; /* statements run by the clock of the machine */
    CHECK_OK(relay_lease_claim(&relay, now_us, &err), &err);
    return relay.holds;
}

static void a_free_lease_is_taken_at_once(void) {
    begin();
    CHECK(holds_after_claim(NOW_US));
    end();
}

static void a_lease_that_runs_is_not_taken(void) {
    begin();
    another_holds_it_until("now() + interval '1 hour'");
    CHECK(!holds_after_claim(NOW_US));
    CHECK(!holds_after_claim(NOW_US + 60 * SECOND_US));
    end();
}

/* An outage of the database may have kept the holder from renewing it. */
static void a_lease_that_ran_out_is_taken_after_it_was_seen_so_for_a_second(void) {
    begin();
    another_holds_it_until("now() - interval '1 hour'");
    CHECK(!holds_after_claim(NOW_US));
    CHECK(!holds_after_claim(NOW_US + SECOND_US - 1));
    CHECK(holds_after_claim(NOW_US + SECOND_US));
    end();
}

static void the_second_begins_anew_where_the_holder_renewed_it(void) {
    begin();
    another_holds_it_until("now() - interval '1 hour'");
    CHECK(!holds_after_claim(NOW_US));
    another_holds_it_until("now() + interval '1 hour'");
    CHECK(!holds_after_claim(NOW_US + SECOND_US / 2));
    another_holds_it_until("now() - interval '1 hour'");
    CHECK(!holds_after_claim(NOW_US + SECOND_US));
    CHECK(!holds_after_claim(NOW_US + 2 * SECOND_US - 1));
    CHECK(holds_after_claim(NOW_US + 2 * SECOND_US));
    end();
}

static void the_second_begins_anew_after_an_outage_of_the_database(void) {
    begin();
    another_holds_it_until("now() - interval '1 hour'");
    CHECK(!holds_after_claim(NOW_US));
    relay.rows.pg = pg_create(&(struct pg_options){.url = "postgresql://ras@127.0.0.1:1/x",
                                                   .application_name = DATABASE,
                                                   .connect_timeout_ms = 5000,
                                                   .statement_timeout_ms = 5000});
    CHECK(!relay_lease_claim(&relay, NOW_US + SECOND_US / 2, &err));
    pg_destroy(relay.rows.pg);
    relay.rows.pg = pg;
    CHECK(!holds_after_claim(NOW_US + SECOND_US));
    CHECK(holds_after_claim(NOW_US + 2 * SECOND_US));
    end();
}

static const struct test_case cases[] = {
    {"a free lease is taken at once", a_free_lease_is_taken_at_once},
    {"a lease that runs is not taken", a_lease_that_runs_is_not_taken},
    {"a lease that ran out is taken after it was seen so for a second",
     a_lease_that_ran_out_is_taken_after_it_was_seen_so_for_a_second},
    {"the second begins anew where the holder renewed it",
     the_second_begins_anew_where_the_holder_renewed_it},
    {"the second begins anew after an outage of the database",
     the_second_begins_anew_after_an_outage_of_the_database},
};

TEST_MAIN(cases)
