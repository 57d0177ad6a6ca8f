/* waits: which handlers wait, and until when, with a clock of the test. */
#include "pipeline/waits.h"
#include "test.h"

#define A 0
#define B 1
#define HANDLERS 2

static struct waits waits;

static void start(void) {
    waits_init(&waits, HANDLERS, 4711);
}

static struct waits_now at(int64_t us) {
    return (struct waits_now){us, us + 1000};
}

static bool outage(int64_t now_us) {
    return waits_hold(&waits, A, WAIT_OUTAGE, "unavailable: away", at(now_us));
}

/* Until when A is held from then on. */
static int64_t held_for_us(int64_t now_us) {
    outage(now_us);
    return waits.items[A].retry_at_us - now_us;
}

static void an_outage_holds_its_handler_alone(void) {
    start();
    CHECK_INT(waits_next_us(&waits), INT64_MAX);
    CHECK(outage(1000));
    CHECK(waits.changed && waits_holds(&waits, A) && !waits_holds(&waits, B));
    CHECK_TEXT(waits.items[A].reason, "unavailable: away");
    CHECK_INT(waits.items[A].since_wall_us, 2000);
    waits_free(&waits);
}

static void it_is_tried_when_it_is_due_and_not_before(void) {
    start();
    outage(0);
    int64_t due_us = waits_next_us(&waits);
    waits.changed = false;
    waits_progress(&waits, due_us - 1);
    CHECK(waits_holds(&waits, A) && !waits.changed);
    waits_progress(&waits, due_us);
    CHECK(!waits_holds(&waits, A) && waits.changed);
    CHECK_INT(waits.items[A].cause, WAIT_OUTAGE); /* until something of it is committed */
    CHECK(waits_end(&waits, A));
    CHECK_INT(waits.items[A].cause, WAIT_NONE);
    CHECK(!waits_end(&waits, A));
    waits_free(&waits);
}

static void the_time_doubles_with_jitter_up_to_a_bound(void) {
    start();
    for (int64_t most_us = WAITS_FIRST_US, now_us = 0; most_us < 4 * WAITS_LAST_US; most_us *= 2) {
        int64_t bound_us = most_us < WAITS_LAST_US ? most_us : WAITS_LAST_US;
        int64_t us = held_for_us(now_us);
        CHECK(us >= bound_us / 2 && us <= bound_us);
        now_us += us;
        waits_progress(&waits, now_us);
    }
    waits_free(&waits);
}

static void two_handlers_that_failed_together_retry_at_different_times(void) {
    start();
    struct waits other;
    waits_init(&other, HANDLERS, 4713);
    waits_hold(&other, A, WAIT_OUTAGE, "", at(0));
    CHECK(held_for_us(0) != other.items[A].retry_at_us);
    waits_free(&other);
    waits_free(&waits);
}

static void an_outage_starts_once_over_many_retries(void) {
    start();
    CHECK(outage(1000));
    waits_progress(&waits, WAITS_LAST_US);
    CHECK(!outage(WAITS_LAST_US));
    CHECK_INT(waits.items[A].since_wall_us, 2000);
    CHECK_INT(waits.items[A].tries, 2);
    waits_free(&waits);
}

static void a_successful_event_shortens_the_next_wait(void) {
    start();
    for (int i = 0; i < 10; i++) {
        outage(0);
    }
    waits_progress(&waits, WAITS_LAST_US);
    waits_note_good(&waits, A);
    CHECK(held_for_us(0) <= WAITS_FIRST_US);
    waits_free(&waits);
}

static void events_handled_before_the_outage_do_not_shorten_the_next_wait(void) {
    start();
    for (int i = 0; i < 10; i++) {
        outage(0);
        waits_note_good(&waits, A); /* of the batch in which it failed */
    }
    CHECK(held_for_us(0) >= WAITS_LAST_US / 2);
    waits_free(&waits);
}

static void the_next_outage_begins_with_the_first_wait(void) {
    start();
    for (int i = 0; i < 10; i++) {
        outage(0);
    }
    waits_progress(&waits, WAITS_LAST_US);
    CHECK(waits_end(&waits, A));
    CHECK(held_for_us(0) <= WAITS_FIRST_US);
    waits_free(&waits);
}

static void what_is_forgotten_is_fetched_again_if_it_was_held(void) {
    start();
    waits_forget(&waits);
    CHECK(!waits.refetch);
    outage(0);
    waits.changed = waits.refetch = false;
    waits_forget(&waits);
    CHECK(waits.changed && waits.refetch && !waits_holds(&waits, A));
    CHECK_INT(waits.items[A].cause, WAIT_NONE);
    waits_free(&waits);
}

static void good_events_among_rejected_ones_do_not_shorten_it(void) {
    start();
    for (int i = 0; i < 10; i++) {
        waits_hold(&waits, A, WAIT_BREAKER, "", at(0));
    }
    waits_progress(&waits, WAITS_LAST_US);
    waits_note_good(&waits, A);
    waits_hold(&waits, A, WAIT_BREAKER, "", at(0));
    CHECK(waits.items[A].retry_at_us >= WAITS_LAST_US / 2);
    waits_free(&waits);
}

static void events_handled_before_do_not_end_the_wait(void) {
    start();
    outage(0);
    CHECK(!waits_end(&waits, A)); /* a batch from before is committed */
    CHECK(waits_holds(&waits, A));
    waits_free(&waits);
}

static void resume_retries_all_at_once(void) {
    start();
    outage(1000);
    waits_hold(&waits, B, WAIT_BREAKER, "", at(1000));
    waits_try_all(&waits);
    CHECK(!waits_holds(&waits, A) && !waits_holds(&waits, B));
    CHECK_INT(waits.items[A].cause, WAIT_OUTAGE);
    CHECK_INT(waits.items[B].cause, WAIT_NONE);
    waits_free(&waits);
}

static void a_handler_that_takes_long_has_turns(void) {
    start();
    CHECK(!waits_spend(&waits, A, 100000));
    CHECK(waits_spend(&waits, A, 100000));
    waits_hold_turn(&waits, A, 1000);
    CHECK(waits_holds(&waits, A));
    CHECK_INT(waits.items[A].cause, WAIT_NONE);
    CHECK_INT(waits_next_us(&waits), 201000);
    waits_progress(&waits, 201000);
    CHECK(!waits_holds(&waits, A));
    waits_begin_batch(&waits);
    CHECK(!waits_spend(&waits, A, 100000));
    waits_free(&waits);
}

static void many_quick_events_need_no_turns(void) {
    start();
    for (int i = 0; i < 10000; i++) {
        CHECK(!waits_spend(&waits, A, 100));
    }
    waits_free(&waits);
}

static void a_turn_neither_ends_nor_hides_an_outage(void) {
    start();
    outage(0);
    waits_progress(&waits, WAITS_LAST_US);
    waits_spend(&waits, A, 300000);
    waits_hold_turn(&waits, A, WAITS_LAST_US);
    CHECK_INT(waits.items[A].cause, WAIT_OUTAGE);
    CHECK(waits_end(&waits, A));
    CHECK(waits_holds(&waits, A));
    waits_free(&waits);
}

static const struct test_case cases[] = {
    {"an outage holds its handler alone", an_outage_holds_its_handler_alone},
    {"it is tried when it is due and not before", it_is_tried_when_it_is_due_and_not_before},
    {"the time doubles, with jitter, up to a bound", the_time_doubles_with_jitter_up_to_a_bound},
    {"two handlers that failed together retry at different times",
     two_handlers_that_failed_together_retry_at_different_times},
    {"an outage starts once over many retries", an_outage_starts_once_over_many_retries},
    {"a successful event shortens the next wait", a_successful_event_shortens_the_next_wait},
    {"events handled before the outage do not shorten the next wait",
     events_handled_before_the_outage_do_not_shorten_the_next_wait},
    {"the next outage begins with the first wait", the_next_outage_begins_with_the_first_wait},
    {"what is forgotten is fetched again if it was held",
     what_is_forgotten_is_fetched_again_if_it_was_held},
    {"good events among rejected ones do not shorten it",
     good_events_among_rejected_ones_do_not_shorten_it},
    {"events handled before do not end the wait", events_handled_before_do_not_end_the_wait},
    {"resume retries all at once", resume_retries_all_at_once},
    {"a handler that takes long has turns", a_handler_that_takes_long_has_turns},
    {"many quick events need no turns", many_quick_events_need_no_turns},
    {"a turn neither ends nor hides an outage", a_turn_neither_ends_nor_hides_an_outage},
};
TEST_MAIN(cases)
