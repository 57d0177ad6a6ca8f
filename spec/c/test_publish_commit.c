/* publish: messages are in the outbox if and only if their events' merges are in the view. Needs
 * PG_TEST_URL; run in the project's folder. */
#include "base/log.h"
#include "base/timestamp.h"
#include "base/traceparent.h"
#include "pipeline/batch.h"
#include "pipeline/commit.h"
#include "pipeline/database_offsets.h"
#include "pipeline/pipeline.h"
#include "outbox_tables.h"
#include "scripts.h"

#define DATABASE "test_publish_commit"

static struct scripts scripts;
static struct script_generation *generation;
static struct pipeline pipeline;
static struct batch batch;
static struct pg *pg;
static struct err err;

static const char handler[] =
    "return { topics = { 't' }, fields = { id = 'data.id', word = 'data.word' },\n"
    "handle = function(event, view)\n"
    "view:publish({ topic = 'news', key = event.id, identity = event.id, at = event.time,"
    " value = { word = event.word } })\n"
    "view.things:merge(event.id, 'said', { word = event.word })\n"
    "if event.word == 'raise' then error('no') end\n"
    "if event.word == 'ignore' then return 'ignored' end\nend }";

static const char reaction[] = "return { follows = { things = 'id' }, query = 'facts', "
                               "publish = function(row) end }";

static void make_tables(void) {
    pg = outbox_database_make(DATABASE);
    outbox_script(pg, "CREATE TABLE things (id text PRIMARY KEY, said_at timestamptz, "
                      "said_event_id uuid, word text CHECK (word <> 'refuse'))");
}

static void begin(bool lasting) {
    log_configure(LOG_ERROR, false);
    err_clear(&err);
    scripts_begin(&scripts);
    scripts.config.postgres.url = (char *)test_database_url(DATABASE);
    scripts.config.postgres.connect_timeout_ms = 5000;
    scripts.config.postgres.statement_timeout_ms = 5000;
    scripts.config.ingest.batch_max_events = 1000;
    scripts.config.ingest.batch_max_bytes = 1 << 24;
    scripts.config.ingest.batch_max_merge_bytes = 1 << 24;
    scripts.config.ingest.breaker_window_events = 100;
    scripts.config.ingest.breaker_share_percent = 100;
    scripts.config.ingest.rejected_keep_hours = 24;
    scripts.config.ingest.rejected_keep_rows = 100;
    scripts.config.ingest.rejected_keep_mb = 100;
    scripts.config.outbox.horizon_hours = 24;
    make_tables();
    scripts_write(&scripts, "handlers/h.lua", "%s", handler);
    scripts_write(&scripts, "queries/facts.sql",
                  "SELECT id AS key FROM things WHERE id = "
                  "ANY(:keys::text[])");
    scripts_write(&scripts, "reactions/r.lua", "%s", reaction);
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    struct pipeline_options options = {.generation = generation,
                                       .group = "g",
                                       .application_name = DATABASE,
                                       .marks = lasting,
                                       .quiet = true,
                                       .no_breaker = true};
    CHECK_OK(pipeline_open(&pipeline, &options, &err), &err);
    batch_init(&batch, generation);
    pipeline_partition(&pipeline, "t", 0);
    CHECK_OK(pipeline_connect(&pipeline, &err) && offsets_load(&pipeline, &err), &err);
    batch_clear(&pipeline, &batch);
}

static void end(void) {
    batch_free(&pipeline, &batch);
    pipeline_close(&pipeline);
    script_generation_unref(generation);
    outbox_database_drop(pg, DATABASE);
    scripts_end(&scripts);
}

/* Takes an event of this moment, with a header of its record's; `id` is a letter. */
static void take_traced(const char *id, const char *word, const char *traceparent) {
    static char payloads[16][512];
    static int64_t offset;
    char time[TIMESTAMP_TEXT_CAP];
    char *payload = payloads[offset % 16];
    timestamp_format(clock_wall_us(), time);
    snprintf(payload, sizeof payloads[0],
             "{\"event_id\":\"0123abcd-4567-89ef-0123-4567%08x\",\"event_type\":\"t\","
             "\"source_service\":\"s\",\"event_timestamp\":\"%s\",\"data\":{\"id\":\"%s\","
             "\"word\":\"%s\"}}",
             (unsigned)offset, time, id, word);
    struct log_record message = {.offset = offset++,
                                 .payload = slice_of(payload),
                                 .traceparent = traceparent_read(slice_of(traceparent))};
    batch_take(&pipeline, &batch, &message);
}

static void take(const char *id, const char *word) {
    take_traced(id, word, NULL);
}

static void commit(void) {
    batch_handle(&pipeline, &batch, INT64_MAX);
    CHECK_OK(commit_batch(&pipeline, &batch, &err), &err);
}

#define OUTBOX                                                                                     \
    "SELECT coalesce(string_agg(identity, ',' ORDER BY id), '') FROM aggregator_state.outbox"
#define THINGS "SELECT coalesce(string_agg(id, ',' ORDER BY id), '') FROM things"

static void messages_of_applied_events_alone_are_stored(void) {
    begin(true);
    take("b", "w");
    take("c", "raise");
    take("d", "ignore");
    take("a", "w");
    commit();
    CHECK_TEXT(outbox_ask(pg, OUTBOX), "b,a");
    CHECK_TEXT(outbox_ask(pg, THINGS), "a,b");
    CHECK_TEXT(outbox_ask(pg, "SELECT concat_ws(' ', topic, key, convert_from(value, 'UTF8'), "
                              "source, state) FROM aggregator_state.outbox WHERE identity = 'a'"),
               "news a {\"word\":\"w\"} handlers/h pending");
    end();
}

/* An upsert has a text of its own for each set of groups in a batch. */
static void a_connection_keeps_a_bounded_number_of_statements(void) {
    begin(true);
    for (int i = 0; i < 300; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        CHECK_OK(pg_query(pipeline.pg, "one", sql, NULL, OUTBOX_WAIT_MS, NULL, &err), &err);
    }
    take("a", "w");
    commit();
    CHECK_TEXT(outbox_ask(pipeline.pg, "SELECT count(*) < 30 FROM pg_prepared_statements"), "t");
    take("b", "w");
    commit();
    CHECK_TEXT(outbox_ask(pg, THINGS), "a,b");
    end();
}

static void a_bisected_batch_stores_what_its_committed_events_publish(void) {
    begin(true);
    take("a", "w");
    take("b", "refuse");
    take("c", "w");
    take("d", "refuse");
    take("e", "w");
    commit();
    CHECK_TEXT(outbox_ask(pg, OUTBOX), "a,c,e");
    CHECK_TEXT(outbox_ask(pg, THINGS), "a,c,e");
    CHECK_TEXT(outbox_ask(pg, "SELECT count(*) FROM aggregator_state.rejected_events"), "2");
    CHECK_INT(pipeline.transaction.stored.pending, 3);
    end();
}

static void a_transaction_that_fails_publishes_nothing(void) {
    begin(true);
    take("a", "w");
    batch_handle(&pipeline, &batch, INT64_MAX);
    outbox_script(
        pg, "UPDATE aggregator_state.consumer_offsets SET next_offset = 99"); /* another owner */
    CHECK(!commit_batch(&pipeline, &batch, &err));
    CHECK_INT(err.kind, ERR_CONFLICT);
    CHECK_TEXT(outbox_ask(pg, "SELECT count(*) FROM aggregator_state.outbox"), "0");
    end();
}

static void a_batch_that_is_not_handled_to_its_end_is_not_committed_in_parts(void) {
    begin(true);
    take("a", "w");
    take("b", "w");
    struct config *config = (struct config *)pipeline.config;
    int bytes = config->ingest.batch_max_merge_bytes;
    config->ingest.batch_max_merge_bytes = 1;
    batch_handle(&pipeline, &batch, INT64_MAX);
    CHECK_INT(batch.handled, 1);
    CHECK(!commit_transaction(&pipeline, &batch, &err));
    CHECK_HAS(err.text, "batch_max_merge_bytes");
    config->ingest.batch_max_merge_bytes = bytes;
    CHECK_TEXT(outbox_ask(pg, "SELECT next_offset FROM aggregator_state.consumer_offsets"), "-1");
    CHECK_TEXT(outbox_ask(pg, THINGS), "");
    end();
}

static void a_shadow_view_publishes_nothing(void) {
    begin(false);
    take("a", "w");
    commit();
    CHECK_TEXT(outbox_ask(pg, THINGS), "a");
    CHECK_TEXT(outbox_ask(pg, "SELECT count(*) FROM aggregator_state.outbox"), "0");
    end();
}

#define TRACE_OF(digit)                                                                            \
    "0000000000000000000000000000000" digit "-0000000000000001-01" /* without its version */
#define MARKS                                                                                      \
    "SELECT string_agg(concat_ws(' ', key, traceparent), ',' ORDER BY key) FROM "                  \
    "aggregator_state.reaction_marks"

static void messages_and_marks_have_the_trace_of_their_event(void) {
    begin(true);
    take("a", "w");
    take_traced("b", "w", "00-" TRACE_OF("1"));
    take_traced("c", "w", "cc-" TRACE_OF("2") "-of-a-later-version");
    commit();
    CHECK_TEXT(outbox_ask(pg, "SELECT string_agg(concat_ws(' ', identity, traceparent), ',' "
                              "ORDER BY id) FROM aggregator_state.outbox"),
               "a,b 00-" TRACE_OF("1") ",c 00-" TRACE_OF("2"));
    CHECK_TEXT(outbox_ask(pg, MARKS), "a,b 00-" TRACE_OF("1") ",c 00-" TRACE_OF("2"));
    end();
}

static void a_mark_has_the_trace_of_the_newest_event_of_its_key(void) {
    begin(true);
    take_traced("a", "w", "00-" TRACE_OF("1"));
    take_traced("b", "w", "00-" TRACE_OF("2"));
    take_traced("a", "w", "00-" TRACE_OF("3"));
    take("a", "w"); /* has none: that of the one before it says more */
    take_traced("b", "refuse", "00-" TRACE_OF("4"));
    take_traced("a", "raise", "00-" TRACE_OF("5"));
    commit();
    CHECK_TEXT(outbox_ask(pg, MARKS), "a 00-" TRACE_OF("3") ",b 00-" TRACE_OF("2"));
    batch_clear(&pipeline, &batch);
    take("c", "w"); /* nothing of the batch before is left */
    commit();
    CHECK_TEXT(outbox_ask(pg, MARKS), "a 00-" TRACE_OF("3") ",b 00-" TRACE_OF("2") ",c");
    end();
}

static const struct test_case cases[] = {
    {"messages of applied events alone are stored", messages_of_applied_events_alone_are_stored},
    {"a bisected batch stores what its committed events publish",
     a_bisected_batch_stores_what_its_committed_events_publish},
    {"a transaction that fails publishes nothing", a_transaction_that_fails_publishes_nothing},
    {"a batch that is not handled to its end is not committed in parts",
     a_batch_that_is_not_handled_to_its_end_is_not_committed_in_parts},
    {"messages and marks have the trace of their event",
     messages_and_marks_have_the_trace_of_their_event},
    {"a mark has the trace of the newest event of its key",
     a_mark_has_the_trace_of_the_newest_event_of_its_key},
    {"a shadow view publishes nothing", a_shadow_view_publishes_nothing},
    {"a connection keeps a bounded number of statements",
     a_connection_keeps_a_bounded_number_of_statements},
};

TEST_MAIN(cases)
