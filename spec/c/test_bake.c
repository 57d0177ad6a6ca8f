/* bake: from which counts on new scripts have failed. */
#include "reload/bake.h"

#include "base/clock.h"
#include "scripts.h"

#define MARGIN_PERCENT 10

static struct scripts scripts;
static struct script_generation *before, *after;
static struct bake bake;
static char reason[160];

static struct script_generation *load(uint64_t number) {
    struct err err = {0};
    struct script_generation *generation = script_generation_load(&scripts.config, number, &err);
    CHECK_OK(generation != NULL, &err);
    return generation;
}

/* After the old scripts have rejected so many of a hundred events. */
static void begin_with(uint64_t rejected_before, bool judged) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/t.lua",
                  "return { topics = { 't' }, fields = { id = 'data.id' }, handle = function() end "
                  "}");
    scripts.config.scripts.trial_s = 3600;
    scripts.config.scripts.trial_margin_percent = MARGIN_PERCENT;
    before = load(1);
    after = load(2);
    script_generation_count(before, (struct script_counts){1000, 1000}); /* before it ran */
    bake_init(&bake, before);
    script_generation_count(before, (struct script_counts){100, rejected_before});
    bake_begin(&bake, after, judged);
}

static void end(void) {
    script_generation_unref(before);
    script_generation_unref(after);
    scripts_end(&scripts);
}

static enum bake_verdict look(void) {
    return bake_look(&bake, 0, reason, sizeof reason);
}

/* What the new scripts' counts come to. */
static void check(uint64_t rejected_before, struct script_counts counts,
                  enum bake_verdict verdict) {
    begin_with(rejected_before, true);
    script_generation_count(after, counts);
    enum bake_verdict got = look();
    if (got != verdict) {
        TEST_FAIL("%d of %d after %d %%: verdict %d, want %d", (int)counts.rejected,
                  (int)counts.handled, (int)rejected_before, got, verdict);
    }
    end();
}

static void the_share_may_grow_by_the_margin(void) {
    check(0, (struct script_counts){100, 10}, BAKE_GOES_ON);
    check(0, (struct script_counts){100, 11}, BAKE_FAILED);
    check(50, (struct script_counts){100, 60}, BAKE_GOES_ON);
    check(50, (struct script_counts){100, 61}, BAKE_FAILED);
    check(50, (struct script_counts){100, 0}, BAKE_GOES_ON);
}

static void a_few_events_are_not_judged(void) {
    check(0, (struct script_counts){BAKE_LEAST_EVENTS - 1, BAKE_LEAST_EVENTS - 1}, BAKE_GOES_ON);
    check(0, (struct script_counts){BAKE_LEAST_EVENTS, BAKE_LEAST_EVENTS}, BAKE_FAILED);
    check(0, (struct script_counts){BAKE_LEAST_EVENTS, BAKE_LEAST_REJECTED - 1}, BAKE_GOES_ON);
    check(0, (struct script_counts){BAKE_LEAST_EVENTS, BAKE_LEAST_REJECTED}, BAKE_FAILED);
}

static void events_from_before_the_bake_do_not_count(void) {
    begin_with(0, true);
    script_generation_count(after, (struct script_counts){100, 100});
    bake_begin(&bake, after, true);
    CHECK_INT(look(), BAKE_GOES_ON);
    end();
}

static void the_reason_has_both_shares(void) {
    begin_with(2, true);
    script_generation_count(after, (struct script_counts){40, 10});
    CHECK_INT(look(), BAKE_FAILED);
    CHECK_TEXT(reason, "10 of 40 events were rejected, 25.0 % instead of 2.0 %");
    CHECK_INT(look(), BAKE_NONE); /* a verdict ends the bake */
    end();
}

static void an_open_breaker_fails_it(void) {
    begin_with(0, true);
    CHECK_INT(bake_look(&bake, 1, reason, sizeof reason), BAKE_FAILED);
    CHECK_TEXT(reason, "the breaker of a handler is open");
    end();
}

static void it_passes_at_the_end_of_its_time(void) {
    begin_with(0, true);
    CHECK_INT(look(), BAKE_GOES_ON);
    bake.until_us = clock_monotonic_us();
    CHECK_INT(look(), BAKE_PASSED);
    CHECK_INT(look(), BAKE_NONE);
    end();
}

static void a_rollback_is_not_judged(void) {
    begin_with(0, false);
    script_generation_count(after, (struct script_counts){100, 100});
    CHECK_INT(look(), BAKE_NONE);
    end();
}

static const struct test_case cases[] = {
    {"the share may grow by the margin", the_share_may_grow_by_the_margin},
    {"a few events are not judged", a_few_events_are_not_judged},
    {"events from before the bake do not count", events_from_before_the_bake_do_not_count},
    {"the reason has both shares", the_reason_has_both_shares},
    {"an open breaker fails it", an_open_breaker_fails_it},
    {"it passes at the end of its time", it_passes_at_the_end_of_its_time},
    {"a rollback is not judged", a_rollback_is_not_judged},
};

TEST_MAIN(cases)
