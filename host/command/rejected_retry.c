/* rejected_retry: sends rejected events through the pipeline again, with the present scripts. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/after_commit.h"
#include "pipeline/batch.h"
#include "pipeline/commit.h"
#include "pipeline/pipeline.h"
#include "rejected.h"
#include "base/traceparent.h"
#include "base/xalloc.h"

#define CHUNK_SQL "200" /* events of one transaction */

/* Rows after the last one read ($4..$6), up to the bytes of a batch ($7). */
static const char read_sql[] =
    "SELECT topic, partition::text, \"offset\"::text, raw, traceparent FROM (SELECT topic, "
    "partition, "
    "\"offset\", raw, traceparent, sum(coalesce(octet_length(raw), 0)) OVER (ORDER BY topic, "
    "partition, "
    "\"offset\") - coalesce(octet_length(raw), 0) AS bytes_before FROM (SELECT topic, partition, "
    "\"offset\", raw, traceparent FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED
    " AND (topic, partition, \"offset\") > ($4::text, $5::int8, $6::int8) "
    "ORDER BY topic, partition, \"offset\" LIMIT " CHUNK_SQL ") AS next) AS summed "
    "WHERE bytes_before < $7::int8 ORDER BY summed.topic, summed.partition, summed.\"offset\"";

struct retry {
    struct selection *selection;
    struct pipeline pipeline;
    struct batch batch;
    struct batch unhandled; /* what did not fit: it is read again */
    char *last_topic;       /* this and the next two: the last row read */
    int64_t last_partition;
    int64_t last_offset;
    size_t applied, again;
};

static bool rejected_retry_read_rows(struct retry *retry, struct pg_result **rows,
                                     struct err *err) {
    selection_fill(retry->selection);
    struct pg_params *params = retry->selection->session.params;
    pg_params_add_text(params, slice_of(retry->last_topic ? retry->last_topic : ""));
    pg_params_add_int8(params, retry->last_partition);
    pg_params_add_int8(params, retry->last_offset);
    pg_params_add_int8(params, retry->selection->command->config->ingest.batch_max_bytes);
    return sql_query(&retry->selection->session, slice_of(read_sql), rows, err);
}

static size_t rejected_retry_partition_of(struct retry *retry, const struct pg_result *rows,
                                          int row) {
    return pipeline_partition(&retry->pipeline, pg_rows_text(rows, row, 0),
                              (int32_t)pg_rows_int(rows, row, 1));
}

static void rejected_retry_take_row(struct retry *retry, struct pg_result *rows, int row) {
    struct log_record message = {
        .partition = rejected_retry_partition_of(retry, rows, row),
        .offset = pg_rows_int(rows, row, 2),
        .traceparent = traceparent_read(pg_rows_cell(rows, row, 4)),
    };
    if (!pg_rows_is_null(rows, row, 3)) {
        message.payload = pg_rows_bytes(rows, row, 3);
        message.owner = (void *)message.payload.data;
    }
    batch_take(&retry->pipeline, &retry->batch, &message);
}

static void rejected_retry_note_position(struct retry *retry, const struct pg_result *rows,
                                         int row) {
    free(retry->last_topic);
    retry->last_topic = xstrdup(pg_rows_text(rows, row, 0));
    retry->last_partition = pg_rows_int(rows, row, 1);
    retry->last_offset = pg_rows_int(rows, row, 2);
}

static bool rejected_retry_run_chunk(struct retry *retry, struct pg_result *rows, struct err *err) {
    int count = pg_rows_count(rows);
    for (int i = 0; i < count; i++) { /* before batch_clear, which sizes the batch by partitions */
        rejected_retry_partition_of(retry, rows, i);
    }
    batch_clear(&retry->pipeline, &retry->batch);
    for (int i = 0; i < count; i++) {
        rejected_retry_take_row(retry, rows, i);
    }
    batch_handle(&retry->pipeline, &retry->batch, INT64_MAX);
    if (batch_is_ready(&retry->pipeline, &retry->batch)) {
        batch_split(&retry->pipeline, &retry->batch, &retry->unhandled);
        batch_clear(&retry->pipeline, &retry->unhandled);
    }
    size_t taken = retry->batch.count;
    rejected_retry_note_position(retry, rows, (int)taken - 1);
    if (!commit_transaction(&retry->pipeline, &retry->batch, err)) {
        return false;
    }
    retry->again += retry->batch.rejected;
    retry->applied += taken - retry->batch.rejected;
    after_commit(&retry->pipeline, &retry->batch);
    return true;
}

static bool rejected_retry_run_all(struct retry *retry, struct err *err) {
    for (;;) {
        struct pg_result *rows = NULL;
        if (!rejected_retry_read_rows(retry, &rows, err)) {
            return false;
        }
        bool more = pg_rows_count(rows) > 0;
        bool ok = !more || rejected_retry_run_chunk(retry, rows, err);
        pg_rows_free(rows);
        if (!ok || !more) {
            return ok;
        }
    }
}

static bool rejected_retry_with_pipeline(struct retry *retry, struct script_generation *generation,
                                         struct cache *cache, struct err *err) {
    struct pipeline_options options = {
        .generation = generation,
        .cache = cache,
        .no_breaker = true, /* these events failed before */
        .group = retry->selection->command->config->kafka.group,
        .application_name = "aggregator retry",
        .with_redis = true,
        .marks = true,
        .mode = PIPELINE_RETRY,
        .release = pg_rows_free_bytes,
    };
    bool ok = pipeline_open(&retry->pipeline, &options, err);
    batch_init(&retry->batch, generation);
    batch_init(&retry->unhandled, generation);
    ok = ok && pipeline_connect(&retry->pipeline, err) && rejected_retry_run_all(retry, err);
    batch_free(&retry->pipeline, &retry->batch);
    batch_free(&retry->pipeline, &retry->unhandled);
    pipeline_close(&retry->pipeline);
    return ok;
}

bool rejected_retry(struct selection *selection, struct err *err) {
    const struct config *config = selection->command->config;
    struct retry retry = {.selection = selection, .last_partition = -1, .last_offset = -1};
    struct script_generation *generation = script_generation_load_service(config, 1, err);
    struct cache_options options = {
        .redis_url = config->redis.url,
        .redis_timeout_ms = config->redis.timeout_ms,
        .ttl_s = config->cache.ttl_s,
        .enabled = config->cache.enabled != 0,
    };
    struct cache *cache = generation ? cache_create(&options, err) : NULL;
    bool ok = cache && rejected_retry_with_pipeline(&retry, generation, cache, err);
    if (ok) {
        printf("%zu applied or ignored, %zu rejected again\n", retry.applied, retry.again);
    }
    free(retry.last_topic);
    cache_destroy(cache);
    script_generation_unref(generation);
    return ok;
}
