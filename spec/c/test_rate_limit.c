/* Token buckets: bursts, the long run, callers apart from each other. Time is an argument. */
#include "http/rate_limit.h"
#include <stdlib.h>

#include "test.h"

#define S 1000000LL /* microseconds */

static struct rate_buckets buckets;
/* Two requests in three seconds, three at once. */
static const struct script_rate rate = {1500000000, 3};

static void begin(void) {
    buckets = (struct rate_buckets){0};
    rate_limit_init(&buckets);
}

static void end(void) {
    free(buckets.items);
}

static int take(const char *caller, int64_t now_us) {
    return rate_limit_take(&buckets, &rate, slice_of(caller), now_us);
}

static void a_burst_is_admitted_then_refused_with_the_time_to_wait(void) {
    begin();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(take("a", 10 * S), 0);
    }
    CHECK_INT(take("a", 10 * S), 2); /* 1.5 s, rounded up */
    CHECK_INT(take("a", 11 * S), 1);
    CHECK_INT(take("a", 11 * S + S / 2), 0);
    CHECK_INT(take("a", 11 * S + S / 2), 2);
    end();
}

static void the_long_run_has_the_declared_rate(void) {
    int admitted = 0;
    begin();
    for (int64_t now_us = 0; now_us < 300 * S; now_us += S / 10) {
        admitted += take("a", 5 * S + now_us) == 0;
    }
    CHECK_INT(admitted, 200 + 2); /* the burst comes on top */
    end();
}

static void refused_requests_cost_nothing(void) {
    begin();
    for (int i = 0; i < 100; i++) {
        take("a", S);
    }
    CHECK_INT(take("a", S + 3 * S / 2), 0);
    end();
}

static void a_reload_to_a_faster_rate_applies_at_once(void) {
    static const struct script_rate slow = {3600 * 1000000000LL, 1}, fast = {10000000, 1};
    begin();
    CHECK_INT(rate_limit_take(&buckets, &slow, slice_of("a"), S), 0);
    CHECK_INT(rate_limit_take(&buckets, &slow, slice_of("a"), S), 3600);
    CHECK_INT(rate_limit_take(&buckets, &fast, slice_of("a"), S), 1);
    CHECK_INT(rate_limit_take(&buckets, &fast, slice_of("a"), S + S / 100), 0);
    CHECK_INT(rate_limit_take(&buckets, &fast, slice_of("a"), S + S / 100), 1);
    end();
}

static void callers_do_not_share(void) {
    begin();
    for (int i = 0; i < 4; i++) {
        take("a", S);
    }
    CHECK(take("a", S) > 0);
    CHECK_INT(take("b", S), 0);
    end();
}

static void more_callers_than_buckets_take_the_fullest(void) {
    char name[16];
    begin();
    for (int i = 0; i < 4; i++) {
        take("first", 100 * S);
    }
    for (int i = 0; i < 2 * RATE_MAX_CALLERS; i++) {
        snprintf(name, sizeof name, "c%d", i);
        CHECK_INT(take(name, 50 * S), 0);
    }
    CHECK_INT(buckets.count, RATE_MAX_CALLERS);
    CHECK(take("first", 100 * S) > 0);
    end();
}

static const struct test_case cases[] = {
    {"a burst is admitted, then refused with the time to wait",
     a_burst_is_admitted_then_refused_with_the_time_to_wait},
    {"the long run has the declared rate", the_long_run_has_the_declared_rate},
    {"refused requests cost nothing", refused_requests_cost_nothing},
    {"a reload to a faster rate applies at once", a_reload_to_a_faster_rate_applies_at_once},
    {"callers do not share", callers_do_not_share},
    {"more callers than buckets take the fullest", more_callers_than_buckets_take_the_fullest},
};

TEST_MAIN(cases)
