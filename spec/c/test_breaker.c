/* The breaker: opens on a share of rejected events, stays closed while told so. */
#include "../../host/ingest/breaker.h"
#include "test.h"

#define WINDOW 10
#define SHARE 50

static struct breaker breaker;

static void start(void) {
    breaker_init(&breaker, WINDOW, SHARE);
}

static void note(size_t good, size_t bad) {
    for (size_t i = 0; i < good; i++) {
        breaker_note(&breaker, NULL);
    }
    for (size_t i = 0; i < bad; i++) {
        breaker_note(&breaker, "why");
    }
}

static void opens_above_the_share_only(void) {
    start();
    note(0, WINDOW / 2);
    CHECK(!breaker.open);
    note(0, 1);
    CHECK(breaker.open);
    CHECK_TEXT(breaker.reason, "6 of the last 6 events were rejected, the last one: why");
    breaker_free(&breaker);
}

static void forgets_what_left_the_window(void) {
    start();
    for (int i = 0; i < 50; i++) {
        note(1, 1);
    }
    CHECK(!breaker.open);
    CHECK_INT(breaker.rejected, WINDOW / 2);
    breaker_free(&breaker);
}

static void a_refusal_takes_the_place_of_a_good_verdict(void) {
    start();
    note(WINDOW, 0);
    for (int i = 0; i < WINDOW / 2; i++) {
        breaker_note_refusal(&breaker, "refused");
    }
    CHECK_INT(breaker.rejected, WINDOW / 2);
    CHECK(!breaker.open);
    breaker_note_refusal(&breaker, "refused");
    CHECK(breaker.open);
    CHECK_INT(breaker.count, WINDOW);
    breaker_free(&breaker);
}

static void accepts_until_the_share_is_normal_at_a_commit(void) {
    start();
    note(0, WINDOW);
    breaker_close(&breaker, true);
    note(0, 2 * WINDOW);
    breaker_settle(&breaker);
    CHECK(!breaker.open);
    /* Good until the database refuses them: not normal yet. */
    note(WINDOW, 0);
    for (int i = 0; i < WINDOW; i++) {
        breaker_note_refusal(&breaker, "refused");
    }
    breaker_settle(&breaker);
    CHECK(!breaker.open);
    note(WINDOW, 0);
    breaker_settle(&breaker);
    note(0, WINDOW);
    CHECK(breaker.open);
    breaker_free(&breaker);
}

static void opens_again_at_once_where_nothing_is_accepted(void) {
    start();
    note(0, WINDOW);
    breaker_close(&breaker, false);
    CHECK(!breaker.open);
    note(0, WINDOW);
    CHECK(breaker.open);
    breaker_free(&breaker);
}

static const struct test_case cases[] = {
    {"opens above the share only", opens_above_the_share_only},
    {"forgets what left the window", forgets_what_left_the_window},
    {"a refusal takes the place of a good verdict", a_refusal_takes_the_place_of_a_good_verdict},
    {"accepts until the share is normal at a commit",
     accepts_until_the_share_is_normal_at_a_commit},
    {"opens again at once where nothing is accepted",
     opens_again_at_once_where_nothing_is_accepted},
};

TEST_MAIN(cases)
