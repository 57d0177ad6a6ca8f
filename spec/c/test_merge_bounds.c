/* Limits of merged bytes: an event above its limit is rejected; a batch at its limit commits, and
 * the next batch takes the rest with the right offsets. */
#include "pipeline/dry_run.h"
#include "scripts.h"

#define EVENT_MAX_BYTES (1024 * 1024)

static struct scripts scripts;
static struct script_generation *generation;
static struct dry_run dry_run;
static struct err err;

static void open_with(const char *body) {
    scripts_begin(&scripts);
    scripts.config.ingest.event_max_merge_bytes = EVENT_MAX_BYTES;
    scripts.config.ingest.batch_max_merge_bytes = 2 * EVENT_MAX_BYTES;
    scripts.config.ingest.batch_max_events = 1000;
    scripts.config.ingest.breaker_window_events = 100;
    scripts.config.ingest.breaker_share_percent = 100;
    scripts.config.ingest.batch_max_bytes = 1024 * 1024;
    scripts_write(&scripts, "handlers/t.lua",
                  "return { topics = { 't' }, fields = { id = 'data.id' },\n"
                  "handle = function(event, view)\n%s\nend }",
                  body);
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    CHECK_OK(generation && dry_run_open(&dry_run, generation, "a test", NULL, &err), &err);
    dry_run_add_partition(&dry_run, "t", 0, 0);
    dry_run_add_partition(&dry_run, "t", 1, 0);
    dry_run_clear(&dry_run);
}

static void close_all(void) {
    dry_run_close(&dry_run);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static struct log_record message_of(size_t partition, int64_t offset) {
    return (struct log_record){.partition = partition,
                               .offset = offset,
                               .broker_time_us = 1000 + offset,
                               .payload = slice_of(SCRIPTS_EVENT)};
}

static void is_rejected(const char *body, const char *text) {
    open_with(body);
    struct log_record message = message_of(0, 0);
    struct dry_run_outcome outcome = {0};
    CHECK_OK(dry_run_handle(&dry_run, &message, &outcome, &err), &err);
    CHECK_INT(outcome.event->state, EVENT_REJECTED);
    const char *detail = outcome.event->detail.data;
    if (!detail || !strstr(detail, text) || !strstr(detail, "1048576") ||
        !strstr(detail, "ingest.event_max_merge_bytes")) {
        TEST_FAIL("%s: rejected with \"%s\"", body, detail ? detail : "");
    }
    CHECK(arena_used(merge_arena(dry_run.batch.merge)) < 4 * EVENT_MAX_BYTES);
    close_all();
}

static void an_event_that_merges_without_end_is_rejected(void) {
    is_rejected("for i = 1, 1e9 do view.things:merge(event.id .. i, 'said', { word = 'x' }) end",
                "handlers/t.lua:3");
    is_rejected("for i = 1, 1e9 do view.things:merge('a', 'said', { word = 'x' }) end",
                "handlers/t.lua:3");
    is_rejected("local long = ('x'):rep(700000) for i = 1, 2 do "
                "view.things:merge('a' .. i, 'said', { word = long }) end",
                "handlers/t.lua:3");
    is_rejected("for i = 1, 1e9 do view:touch('a' .. i) end", "handlers/t.lua:3");
}

static void a_refused_merge_rejects_the_event_even_if_the_handler_hides_it(void) {
    is_rejected("for i = 1, 20000 do pcall(view.things.merge, view.things, 'a' .. i, 'said', "
                "{ word = 'x' }) end",
                "handlers/t caught the error");
}

static void take(size_t partition, int64_t offset) {
    struct log_record message = message_of(partition, offset);
    batch_take(&dry_run.pipeline, &dry_run.batch, &message);
}

static void check_advance(const struct batch *batch, size_t partition, int64_t expected,
                          int64_t next) {
    CHECK_INT(batch->advances[partition].next, next);
    if (next >= 0) {
        CHECK_INT(batch->advances[partition].expected, expected);
    }
}

static void a_batch_at_its_bound_leaves_the_rest_to_the_next(void) {
    struct batch rest;
    open_with("view.things:merge(event.id, 'said', { word = ('x'):rep(900000) })");
    batch_init(&rest, generation);
    dry_run.pipeline.partitions.items[0].next_offset = 10;
    dry_run.pipeline.partitions.items[1].next_offset = 50;
    for (int64_t i = 0; i < 4; i++) { /* offsets 12, 14 … have gaps between them */
        take(0, 12 + 2 * i);
        take(1, 50 + i);
    }
    CHECK(!batch_full(&dry_run.pipeline, &dry_run.batch));
    CHECK(!batch_handle(&dry_run.pipeline, &dry_run.batch, INT64_MAX));
    CHECK_INT(dry_run.batch.handled, 3);
    CHECK(batch_full(&dry_run.pipeline, &dry_run.batch));
    CHECK(batch_is_ready(&dry_run.pipeline, &dry_run.batch));
    batch_split(&dry_run.pipeline, &dry_run.batch, &rest);
    CHECK_INT(dry_run.batch.count, 3);
    CHECK_INT(rest.count, 5);
    CHECK_INT(rest.handled, 0);
    CHECK_INT(dry_run.batch.bytes, 3 * strlen(SCRIPTS_EVENT));
    CHECK_INT(rest.bytes, 5 * strlen(SCRIPTS_EVENT));
    check_advance(&dry_run.batch, 0, 10, 15);
    check_advance(&dry_run.batch, 1, 50, 51);
    check_advance(&rest, 0, 15, 19);
    check_advance(&rest, 1, 51, 54);
    CHECK_INT(rest.advances[0].last_time_us, 1018);
    CHECK(!batch_handle(&dry_run.pipeline, &rest, INT64_MAX));
    CHECK_INT(rest.handled, 3);
    batch_free(&dry_run.pipeline, &rest);
    close_all();
}

static void half_of_the_events_fill_a_batch_beside_requests(void) {
    open_with("view.things:merge(event.id, 'said', { word = 'x' })");
    for (int64_t i = 0; i < 499; i++) {
        take(0, i);
    }
    dry_run.pipeline.beside_requests = true;
    CHECK(!batch_full(&dry_run.pipeline, &dry_run.batch));
    take(0, 499);
    CHECK(batch_full(&dry_run.pipeline, &dry_run.batch));
    dry_run.pipeline.beside_requests = false;
    CHECK(!batch_full(&dry_run.pipeline, &dry_run.batch));
    dry_run.pipeline.batch_limit = 100; /* the database timed out */
    dry_run.pipeline.beside_requests = true;
    CHECK(batch_full(&dry_run.pipeline, &dry_run.batch));
    close_all();
}

static void rejected_events_fill_a_batch_too(void) {
    open_with("for i = 1, 1e9 do view.things:merge(event.id .. i, 'said', { word = 'x' }) end");
    for (int64_t i = 0; i < 100; i++) {
        take(0, i);
    }
    batch_handle(&dry_run.pipeline, &dry_run.batch, INT64_MAX);
    CHECK(dry_run.batch.handled > 0 && dry_run.batch.handled < 10);
    CHECK(batch_is_ready(&dry_run.pipeline, &dry_run.batch));
    close_all();
}

static const struct test_case cases[] = {
    {"an event that merges without end is rejected", an_event_that_merges_without_end_is_rejected},
    {"a refused merge rejects the event even if the handler hides it",
     a_refused_merge_rejects_the_event_even_if_the_handler_hides_it},
    {"a batch at its bound leaves the rest to the next",
     a_batch_at_its_bound_leaves_the_rest_to_the_next},
    {"half of the events fill a batch beside requests",
     half_of_the_events_fill_a_batch_beside_requests},
    {"rejected events fill a batch too", rejected_events_fill_a_batch_too},
};

TEST_MAIN(cases)
