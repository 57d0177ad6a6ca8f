/* Records that are released once their events are handled, and batches of one pipeline that share
 * its memory for values and parameters. */
#include "pipeline/pipeline.h"
#include "scripts.h"

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define RECORDS 6
#define BAD 2 /* its handler raises */

static struct scripts scripts;
static struct script_generation *generation;
static struct pipeline pipeline;
static struct batch batch, other;
static char *records[RECORDS]; /* owned by the batch until it releases them */
static int releases[RECORDS];
static struct err err;

static void release(void *owner) {
    char *text = owner;
    for (int i = 0; i < RECORDS; i++) {
        releases[i] += records[i] == text;
    }
    memset(text, 'x', strlen(text)); /* a later reader finds no event */
}

static void begin(void) {
    scripts_begin(&scripts);
    scripts.config.ingest.batch_max_merge_bytes = 1 << 20;
    scripts.config.ingest.batch_max_events = 100;
    scripts.config.ingest.batch_max_bytes = 1 << 20;
    scripts.config.ingest.breaker_window_events = 100;
    scripts.config.ingest.breaker_share_percent = 100;
    scripts_write(&scripts, "handlers/t.lua",
                  "return { topics = { 't' }, fields = { id = 'data.id' },\n"
                  "handle = function(event, view)\n"
                  "view.things:merge(event.id, 'said', { word = 'x' })\n"
                  "if event.id == 'bad' then error('refused') end end }");
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    struct pipeline_options options = {.generation = generation,
                                       .application_name = "a test",
                                       .no_breaker = true,
                                       .quiet = true,
                                       .release = release,
                                       .releases_early = true};
    CHECK_OK(pipeline_open(&pipeline, &options, &err), &err);
    pipeline_partition(&pipeline, "t", 0);
    batch_init(&batch, generation);
    batch_init(&other, generation);
    batch_clear(&pipeline, &batch);
    batch_clear(&pipeline, &other);
    memset(releases, 0, sizeof releases);
}

static void end(void) {
    batch_free(&pipeline, &batch);
    batch_free(&pipeline, &other);
    pipeline_close(&pipeline);
    script_generation_unref(generation);
    scripts_end(&scripts);
    for (int i = 0; i < RECORDS; i++) {
        free(records[i]);
        records[i] = NULL;
    }
}

static void take(struct batch *into, int number, const char *id) {
    CHECK(
        asprintf(&records[number],
                 "{\"event_id\": \"f8d2048e-9b9e-43f7-ba3b-bd97eb4df6c%d\", \"event_type\": \"t\", "
                 "\"event_timestamp\": \"2025-06-28T08:00:27.431837Z\", \"source_service\": \"s\", "
                 "\"correlation_id\": \"73a7167f\", \"data\": {\"id\": \"%s\"}, "
                 "\"trace\": \"" TRACE "\"}",
                 number, id) > 0);
    struct log_record record = {.offset = number,
                                .payload = slice_of(records[number]),
                                .traceparent = {strstr(records[number], TRACE), strlen(TRACE)},
                                .owner = records[number]};
    batch_take(&pipeline, into, &record);
}

static void take_all(void) {
    for (int i = 0; i < RECORDS; i++) {
        take(&batch, i, i == BAD ? "bad" : "good");
    }
    CHECK(batch_handle(&pipeline, &batch, INT64_MAX));
    CHECK_INT(batch.rejected, 1);
}

static void check_releases(bool of_bad, bool of_others) {
    for (int i = 0; i < RECORDS; i++) {
        CHECK_INT(releases[i], i == BAD ? of_bad : of_others);
    }
}

static void the_record_of_a_handled_event_is_released_once(void) {
    begin();
    take_all();
    check_releases(false, true);
    CHECK(batch.is_partial);
    batch_clear(&pipeline, &batch);
    check_releases(true, true);
    CHECK(!batch.is_partial);
    end();
}

static void a_rejected_event_keeps_its_bytes(void) {
    begin();
    take_all();
    const struct event *event = &batch.events[BAD];
    CHECK_INT(event->state, EVENT_REJECTED);
    CHECK(slice_equal(event->record.payload, slice_of(records[BAD])));
    CHECK(slice_contains(event->record.payload, slice_of("\"bad\"")));
    CHECK(slice_equal(event->correlation_id, slice_of("73a7167f")));
    end();
}

static void a_released_record_leaves_its_trace(void) {
    begin();
    take_all();
    CHECK(slice_equal(batch.events[0].record.traceparent, slice_of(TRACE)));
    CHECK_INT(batch.events[1].record.offset, 1);
    end();
}

static void a_pipeline_that_keeps_records_releases_them_with_the_batch(void) {
    begin();
    pipeline.keeps_batches = 1;
    take_all();
    check_releases(false, false);
    CHECK(!batch.is_partial);
    batch_clear(&pipeline, &batch);
    check_releases(true, true);
    end();
}

static void batches_in_turn_are_encoded_by_themselves(void) {
    begin();
    take(&batch, 0, "one");
    take(&other, 1, "two");
    CHECK(batch_handle(&pipeline, &batch, INT64_MAX));
    encode_rows(&pipeline, &batch);
    CHECK(pipeline.encoded.batch == &batch && batch.is_encoded);
    CHECK(batch_handle(&pipeline, &other, INT64_MAX));
    encode_rows(&pipeline, &other);
    CHECK(pipeline.encoded.batch == &other && other.is_encoded);
    encode_rows(&pipeline, &batch);
    CHECK(pipeline.encoded.batch == &batch);
    end();
}

static const struct test_case cases[] = {
    {"the record of a handled event is released once",
     the_record_of_a_handled_event_is_released_once},
    {"a rejected event keeps its bytes", a_rejected_event_keeps_its_bytes},
    {"a released record leaves its trace", a_released_record_leaves_its_trace},
    {"a pipeline that keeps records releases them with the batch",
     a_pipeline_that_keeps_records_releases_them_with_the_batch},
    {"batches in turn are encoded by themselves", batches_in_turn_are_encoded_by_themselves},
};

TEST_MAIN(cases)
