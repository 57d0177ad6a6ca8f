#include "pipeline.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "schema/program_schema.h"
#include "view/view_check.h"
#include "database_offsets.h"

#define EXTRACTED_CHUNK_BYTES (256UL * 1024)

struct metric_cell *pipeline_dependency_metric(const char *dependency) {
    return metric_cell(metric_family(METRIC_GAUGE, "ras_dependency_up",
                                     "1: the last request to the dependency succeeded.",
                                     "dependency"),
                       dependency);
}

static void pipeline_make_metrics(struct pipeline *pipeline) {
    struct pipeline_metrics *metrics = &pipeline->metrics;
    bool uncounted = pipeline->options.uncounted;
    after_commit_make_metrics(&metrics->commit, uncounted);
    metrics->processing_seconds =
        uncounted ? metric_unshown(METRIC_HISTOGRAM)
                  : metric_single(METRIC_HISTOGRAM, "ras_message_processing_duration_seconds",
                                  "Parsing, looking up and handling one read.");
    metrics->redis_up =
        uncounted ? metric_unshown(METRIC_GAUGE) : pipeline_dependency_metric("redis");
}

static void pipeline_init_breaker(struct pipeline *pipeline) {
    const struct config *config = pipeline->config;
    size_t handlers;
    script_generation_handlers(pipeline->generation, &handlers);
    breaker_init(&pipeline->breaker, handlers, (size_t)config->ingest.breaker_window_events,
                 pipeline->options.no_breaker ? 100 : (size_t)config->ingest.breaker_share_percent);
    waits_init(&pipeline->waits, handlers, (uint64_t)clock_monotonic_us() ^ (uintptr_t)pipeline);
    pipeline->waits.changed = true;
}

static bool pipeline_open_scripts(struct pipeline *pipeline, struct err *err) {
    pipeline->scripts = script_instance_create(pipeline->generation, err);
    if (pipeline->scripts) {
        script_instance_mute(pipeline->scripts, pipeline->options.muted);
    }
    return pipeline->scripts != NULL;
}

bool pipeline_open(struct pipeline *pipeline, const struct pipeline_options *options,
                   struct err *err) {
    const struct config *config = script_generation_config(options->generation);
    *pipeline = (struct pipeline){
        .options = *options, .config = config, .extracted = arena_create(EXTRACTED_CHUNK_BYTES)};
    struct pg_options pg_options = {
        .url = config->postgres.url,
        .application_name = options->application_name,
        .search_path = options->search_path,
        .replaced = options->qualifier ? PROGRAM_SCHEMA_QUALIFIER : NULL,
        .replacement = options->qualifier,
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .statement_timeout_ms = config->postgres.statement_timeout_ms,
        .writes = true,
        .uncounted = options->uncounted,
    };
    pipeline_make_metrics(pipeline);
    pipeline->batch_limit = (size_t)config->ingest.batch_max_events;
    pipeline->generation = script_generation_ref(options->generation);
    pipeline_init_breaker(pipeline);
    pipeline->pg = pg_create(&pg_options);
    pipeline->params = pg_params_create();
    if (options->with_redis && config->redis.url[0]) {
        pipeline->redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
        pipeline->announcer.redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
        if (!pipeline->redis || !pipeline->announcer.redis) {
            return false;
        }
    }
    return pipeline_open_scripts(pipeline, err);
}

void pipeline_close(struct pipeline *pipeline) {
    announcer_close(pipeline);
    script_instance_destroy(pipeline->scripts);
    pg_destroy(pipeline->pg);
    pg_params_destroy(pipeline->params);
    redis_destroy(pipeline->redis);
    partitions_clear(&pipeline->partitions);
    breaker_free(&pipeline->breaker);
    waits_free(&pipeline->waits);
    horizon_free(&pipeline->horizon);
    encode_free(&pipeline->encoded);
    arena_destroy(pipeline->extracted);
    script_generation_unref(pipeline->generation);
}

bool pipeline_connect(struct pipeline *pipeline, struct err *err) {
    if (pg_connected(pipeline->pg)) {
        return true;
    }
    const struct view *view = script_generation_view(pipeline->generation);
    if (!pg_connect(pipeline->pg, err)) {
        return false;
    }
    if (!view_sql_check(pipeline->pg, view, pipeline->config->postgres.statement_timeout_ms, err) ||
        !offsets_read_epoch(pipeline, err)) {
        pg_disconnect(pipeline->pg); /* the next attempt checks again */
        return false;
    }
    return true;
}

bool pipeline_renew_scripts(struct pipeline *pipeline) {
    if (pipeline->scripts && script_instance_healthy(pipeline->scripts)) {
        return true;
    }
    script_instance_destroy(pipeline->scripts);
    return pipeline_open_scripts(pipeline, &pipeline->scripts_err);
}

size_t pipeline_partition(struct pipeline *pipeline, const char *topic, int32_t number) {
    size_t at = partitions_find(&pipeline->partitions, topic, number);
    if (at == PARTITION_NONE) {
        at = partitions_add(&pipeline->partitions, topic, number);
        pipeline->partitions.items[at].handler = script_handler_of(pipeline->generation, topic);
    }
    return at;
}

void pipeline_find_handlers(struct pipeline *pipeline) {
    struct partition *items = pipeline->partitions.items;
    for (size_t i = 0; i < pipeline->partitions.count; i++) {
        bool known = i > 0 && strcmp(items[i].topic, items[i - 1].topic) == 0;
        items[i].handler =
            known ? items[i - 1].handler : script_handler_of(pipeline->generation, items[i].topic);
    }
}

void pipeline_switch_scripts(struct pipeline *pipeline, struct script_generation **generation,
                             struct script_instance **scripts) {
    struct script_generation *old_generation = pipeline->generation;
    struct script_instance *old_scripts = pipeline->scripts;
    pipeline->generation = *generation;
    pipeline->scripts = *scripts;
    pipeline->config = script_generation_config(pipeline->generation);
    pipeline->batch_limit = (size_t)pipeline->config->ingest.batch_max_events;
    bool refetch = pipeline->waits.refetch || waits_next_us(&pipeline->waits) != INT64_MAX;
    breaker_free(&pipeline->breaker);
    waits_free(&pipeline->waits);
    pipeline_init_breaker(pipeline);
    pipeline->waits.refetch = refetch; /* no handler waits now */
    pipeline_find_handlers(pipeline);
    *generation = old_generation;
    *scripts = old_scripts;
}
