#include "reload.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/xalloc.h"
#include "monitor/health.h"
#include "result_json.h"
#include "reload_private.h"

/* For the workers to switch; the result counts those that are late. */
#define REPLACED_TIMEOUT_MS 2000

/* One series: that of the running scripts. */
static void reload_show_hash(struct reload *reload, const char *hash) {
    struct metric *family = metric_family(METRIC_GAUGE, "ras_scripts_info",
                                          "1 under the hash of the running scripts.", "hash");
    struct metric_cell *cell = metric_cell(family, hash);
    metric_set(cell, 1);
    if (reload->info && reload->info != cell) {
        metric_forget(family, reload->info);
    }
    reload->info = cell;
}

static void reload_show_running(struct reload *reload) {
    const struct script_generation *running = history_running(&reload->history);
    uint64_t number = script_generation_number(running);
    const char *hash = script_generation_hash(running);
    metric_set(reload->number, (double)number);
    reload_show_hash(reload, hash);
    script_generation_show_metrics(running);
    health_set_scripts(reload->options.sources.health, number, hash);
    heartbeat_set_scripts(reload->options.heartbeat, number, hash);
}

static struct metric_cell *reload_reloads(const char *result) {
    return metric_cell(metric_family(METRIC_COUNTER, "ras_script_reloads_total",
                                     "Reloads and rollbacks, by result.", "result"),
                       result);
}

struct reload *reload_create(const struct reload_options *options) {
    struct reload *reload = xcalloc(1, sizeof *reload);
    reload->options = *options;
    pthread_mutex_init(&reload->lint_lock, NULL);
    pthread_mutex_init(&reload->lock, NULL);
    clock_condition_init(&reload->changed);
    reload->lint = lint_create();
    bake_init(&reload->bake, options->generation);
    reload->last_number = script_generation_number(options->generation);
    history_add(&reload->history, options->generation);
    reload->number = metric_single(METRIC_GAUGE, "ras_script_generation",
                                   "Number of the running script generation.");
    reload->done = reload_reloads("done");
    reload->failed = reload_reloads("failed");
    reload->rolled_back = reload_reloads("rolled_back");
    reload_show_running(reload);
    memcpy(reload->tried_hash, script_generation_hash(options->generation),
           sizeof reload->tried_hash);
    generation_watcher_start(reload);
    return reload;
}

void reload_destroy(struct reload *reload) {
    if (reload) {
        generation_watcher_stop(reload);
        pthread_cond_destroy(&reload->changed);
        lint_destroy(reload->lint);
        history_clear(&reload->history);
        pthread_mutex_destroy(&reload->lint_lock);
        pthread_mutex_destroy(&reload->lock);
        free(reload);
    }
}

/* ---- the change ---------------------------------------------------------------------------- */

/* Unchanged log settings do not override the command line. */
static void reload_apply_log_settings(const struct config *old, const struct config *config) {
    enum log_level level;
    bool same = strcmp(old->log.level, config->log.level) == 0 &&
                strcmp(old->log.format, config->log.format) == 0;
    if (!same && log_level_parse(config->log.level, &level)) {
        log_configure(level, strcmp(config->log.format, "text") == 0);
    }
}

struct change reload_begin_locked(struct reload *reload, const char *verb) {
    return (struct change){.reload = reload,
                           .verb = verb,
                           .started_us = clock_monotonic_us(),
                           .running = script_generation_ref(history_running(&reload->history)),
                           .last_number = reload->last_number};
}

struct change reload_begin(struct reload *reload, const char *verb) {
    pthread_mutex_lock(&reload->lock);
    struct change change = reload_begin_locked(reload, verb);
    pthread_mutex_unlock(&reload->lock);
    return change;
}

void reload_end(struct change *change) {
    script_generation_unref(change->running);
}

/* Under the lock. Leaves in `candidate` the states of an earlier change that workers never took. */
static void reload_replace(struct reload *reload, struct script_generation *generation,
                           struct candidate *candidate, bool judged) {
    api_replace(reload->options.api, candidate->api);
    candidate->api = NULL;
    ingest_switch(reload->options.ingest, candidate->ingest);
    reactor_replace_scripts(reload->options.reactor, generation);
    reload_apply_log_settings(script_generation_config(history_running(&reload->history)),
                              script_generation_config(generation));
    history_add(&reload->history, generation);
    if (reload->last_number < script_generation_number(generation)) {
        reload->last_number = script_generation_number(generation);
    }
    bake_begin(&reload->bake, generation, judged);
    retention_replace_scripts(reload->options.retention, generation, reload->bake.until_us > 0);
    generation_watcher_note(reload);
    reload_show_running(reload);
}

bool reload_swap(const struct change *change, struct script_generation *generation,
                 struct candidate *candidate, struct err *err) {
    struct reload *reload = change->reload;
    if (stop_requested()) {
        candidate_free(candidate);
        return err_set(err, ERR_UNAVAILABLE, "the program is stopping");
    }
    pthread_mutex_lock(&reload->lock);
    bool same = history_running(&reload->history) == change->running &&
                reload->last_number == change->last_number;
    if (same) {
        reload_replace(reload, generation, candidate, strcmp(change->verb, BY_RELOAD) == 0);
    }
    pthread_mutex_unlock(&reload->lock);
    candidate_free(candidate);
    return same || err_set(err, ERR_CONFLICT,
                           "another reload or rollback finished first: run the command again");
}

/* ---- the result ---------------------------------------------------------------------------- */

bool reload_refuse(const struct change *change, const struct err *err, const struct buffer *report,
                   struct buffer *json) {
    struct reload *reload = change->reload;
    struct change now = reload_begin(reload, change->verb);
    metric_add(reload->failed, 1);
    log_error("the scripts were not replaced", LOG_TEXT("by", change->verb),
              LOG_TEXT("error", err->text));
    buffer_append_text(json, "{");
    json_put_bool(json, "done", false);
    result_json_put_generation(json, now.running);
    json_put_text(json, "error", slice_of(err->text));
    if (report) {
        result_json_put_shadow_run(json, report);
    }
    buffer_append_text(json, "}");
    reload_end(&now);
    return false;
}

void reload_finish(const struct change *change, const struct script_generation *generation,
                   struct buffer *json) {
    const struct reload *reload = change->reload;
    struct ingest *ingest = reload->options.ingest;
    size_t waiting = ingest_await_switch(ingest, REPLACED_TIMEOUT_MS);
    int64_t took_us = clock_monotonic_us() - change->started_us;
    metric_add(reload->done, 1);
    json_put_int(json, "workers", (int64_t)ingest_worker_count(ingest));
    json_put_int(json, "waiting_workers", (int64_t)waiting);
    json_put_name(json, "took_ms");
    buffer_append_format(json, "%.1f}", (double)took_us / 1000);
    log_info("the scripts were replaced", LOG_TEXT("by", change->verb),
             LOG_INT("generation", (int64_t)script_generation_number(generation)),
             LOG_TEXT("scripts", script_generation_hash(generation)),
             LOG_INT("waiting_workers", (int64_t)waiting), LOG_INT("took_us", took_us));
}

void reload_list(struct reload *reload, struct buffer *json) {
    pthread_mutex_lock(&reload->lock);
    history_list(&reload->history, json);
    json_put_name(json, "reloads_under_way");
    in_progress_list(&reload->in_progress, json);
    pthread_mutex_unlock(&reload->lock);
}
