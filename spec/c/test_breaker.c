/* The breaker: opens on a handler's own share of rejected events, counts committed events once, and
 * accepts rejections after `resume`. */
#include "pipeline/breaker.h"
#include "test.h"

#define WINDOW 100
#define SHARE 50
#define BROKEN 1 /* handlers */
#define GOOD 2
#define HANDLERS 3

static struct breaker breaker;

static void start(size_t window, size_t share) {
    breaker_init(&breaker, HANDLERS, window, share);
}

/* Judges that many verdicts of a handler; how many were taken before it opened. */
static size_t judge(size_t handler, size_t count, bool rejected) {
    for (size_t i = 0; i < count; i++) {
        if (!breaker_judge(&breaker, handler, rejected)) {
            return i;
        }
    }
    return count;
}

static void enter(size_t handler, size_t count, bool rejected) {
    for (size_t i = 0; i < count; i++) {
        breaker_enter(&breaker, handler, rejected);
    }
}

/* How many rejections in a row it takes from what has entered. */
static size_t endures(size_t handler) {
    breaker_judge_restart(&breaker);
    return judge(handler, 2 * WINDOW, true);
}

static void a_few_bad_events_stop_nothing_and_a_broken_handler_soon(void) {
    start(WINDOW, SHARE);
    CHECK_INT(endures(BROKEN), BREAKER_LEAST_EVENTS / 2);
    breaker_free(&breaker);
    start(WINDOW, 1);
    CHECK_INT(endures(BROKEN), BREAKER_LEAST_REJECTED - 1);
    breaker_free(&breaker);
    start(10, SHARE);
    CHECK_INT(endures(BROKEN), 5);
    breaker_free(&breaker);
}

static void good_events_of_another_handler_do_not_count(void) {
    start(WINDOW, SHARE);
    enter(GOOD, 10 * WINDOW, false);
    CHECK_INT(endures(BROKEN), BREAKER_LEAST_EVENTS / 2);
    CHECK_INT(endures(GOOD), WINDOW / 2);
    breaker_free(&breaker);
}

static void half_of_the_events_is_not_more_than_half(void) {
    start(WINDOW, SHARE);
    for (size_t i = 0; i < 5 * WINDOW; i++) {
        CHECK(breaker_judge(&breaker, BROKEN, i % 2 == 1));
    }
    CHECK_INT(judge(BROKEN, 1, true), 0);
    breaker_free(&breaker);
}

static void an_event_that_is_judged_again_counts_once(void) {
    start(WINDOW, SHARE);
    for (size_t attempt = 0; attempt < 50; attempt++) {
        breaker_judge_restart(&breaker);
        CHECK_INT(judge(BROKEN, 2, true), 2);
    }
    CHECK_INT(endures(BROKEN), BREAKER_LEAST_EVENTS / 2);
    enter(BROKEN, 2, true);
    CHECK_INT(endures(BROKEN), BREAKER_LEAST_EVENTS / 2 - 2);
    breaker_free(&breaker);
}

static void rejections_followed_by_good_events_in_one_batch_count(void) {
    start(WINDOW, SHARE);
    enter(BROKEN, WINDOW, false);
    breaker_judge_restart(&breaker);
    CHECK_INT(judge(BROKEN, 40 * WINDOW, true), WINDOW / 2);
    breaker_free(&breaker);
}

static void a_batch_larger_than_the_window_is_judged_by_its_share(void) {
    start(WINDOW, SHARE);
    breaker_judge_restart(&breaker);
    for (size_t i = 0; i < 40 * WINDOW; i++) {
        CHECK(breaker_judge(&breaker, BROKEN, i % 8 == 0)); /* 12.5 %: 500 of 4,000 */
    }
    breaker_free(&breaker);
}

static void the_reason_names_the_handler(void) {
    start(WINDOW, SHARE);
    breaker_judge_restart(&breaker);
    CHECK_INT(judge(BROKEN, WINDOW, true), 10);
    char reason[BREAKER_REASON_CAP];
    breaker_describe(&breaker, BROKEN, "handlers/broken", "handler_error: why", reason);
    CHECK_TEXT(reason, "11 of the last 11 events of handlers/broken were rejected, the last "
                       "one: handler_error: why");
    breaker_free(&breaker);
}

/* Half open: nothing of the handler was committed when it opened. */
static void a_retry_is_judged_by_the_same_window(void) {
    start(WINDOW, SHARE);
    enter(BROKEN, 8, true);
    CHECK_INT(endures(BROKEN), 2);
    CHECK_INT(endures(BROKEN), 2);
    enter(BROKEN, 30, false); /* mended: its window fills */
    CHECK_INT(endures(BROKEN), 22);
    breaker_free(&breaker);
}

static void resume_accepts_until_a_whole_window_is_normal(void) {
    start(WINDOW, SHARE);
    breaker_resume(&breaker, BROKEN);
    CHECK_INT(endures(BROKEN), 2 * WINDOW);
    enter(BROKEN, 2 * WINDOW, true);
    CHECK_INT(endures(BROKEN), 2 * WINDOW);
    enter(BROKEN, WINDOW / 2 - 1, false);
    CHECK_INT(endures(BROKEN), 2 * WINDOW);
    enter(BROKEN, 1, false);
    CHECK_INT(endures(BROKEN), WINDOW / 2);
    breaker_free(&breaker);
}

static void resume_forgets_what_was_rejected_before(void) {
    start(WINDOW, SHARE);
    enter(BROKEN, 20, true);
    breaker_resume(&breaker, BROKEN);
    enter(BROKEN, WINDOW, false);
    CHECK_INT(endures(BROKEN), WINDOW / 2);
    breaker_free(&breaker);
}

static void a_few_good_events_do_not_end_the_acceptance(void) {
    start(WINDOW, SHARE);
    breaker_resume(&breaker, BROKEN);
    enter(BROKEN, WINDOW - 1, false);
    CHECK_INT(endures(BROKEN), 2 * WINDOW);
    breaker_free(&breaker);
}

static void resume_accepts_the_rejections_of_that_handler_only(void) {
    start(WINDOW, SHARE);
    breaker_resume(&breaker, BROKEN);
    CHECK_INT(endures(GOOD), BREAKER_LEAST_EVENTS / 2);
    breaker_free(&breaker);
}

static void a_share_of_100_never_opens(void) {
    start(WINDOW, 100);
    CHECK_INT(endures(BROKEN), 2 * WINDOW);
    breaker_free(&breaker);
}

static const struct test_case cases[] = {
    {"a few bad events do not open the breaker, a broken handler does",
     a_few_bad_events_stop_nothing_and_a_broken_handler_soon},
    {"good events of another handler do not count", good_events_of_another_handler_do_not_count},
    {"half of the events is not more than half", half_of_the_events_is_not_more_than_half},
    {"an event that is judged again counts once", an_event_that_is_judged_again_counts_once},
    {"rejections followed by good events in one batch count",
     rejections_followed_by_good_events_in_one_batch_count},
    {"a batch larger than the window is judged by its share",
     a_batch_larger_than_the_window_is_judged_by_its_share},
    {"a retry is judged by the same window", a_retry_is_judged_by_the_same_window},
    {"the reason names the handler", the_reason_names_the_handler},
    {"resume accepts until a whole window is normal",
     resume_accepts_until_a_whole_window_is_normal},
    {"resume forgets what was rejected before", resume_forgets_what_was_rejected_before},
    {"a few good events do not end the acceptance", a_few_good_events_do_not_end_the_acceptance},
    {"resume accepts the rejections of that handler only",
     resume_accepts_the_rejections_of_that_handler_only},
    {"a share of 100 never opens", a_share_of_100_never_opens},
};

TEST_MAIN(cases)
