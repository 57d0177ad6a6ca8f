#include "reload.h"

#include <pthread.h>
#include <stdlib.h>

#include "../clock.h"
#include "../json_put.h"
#include "../log.h"
#include "../metrics.h"
#include "../script/lint.h"
#include "../xalloc.h"
#include "answer.h"
#include "built.h"
#include "gate.h"
#include "kept.h"
#include "store.h"
#include "trial.h"

/* A worker that waits for its database takes the scripts when it is back. */
#define REPLACE_TIMEOUT_MS 5000
#define LOOK_INTERVAL_MS 250 /* at scripts on trial */
#define STORE_AGAIN_S 10

#define BY_RELOAD "reload"

struct reload {
    struct reload_options options;
    pthread_mutex_t lock; /* one at a time; guards all that follows */
    struct kept kept;
    struct lint *lint;
    struct trial trial;
    uint64_t last_number;
    char tried_hash[SCRIPT_HASH_LEN + 1]; /* of the files when reload_if_changed last saw them */
    struct metric_cell *info;             /* 1 under the running scripts' hash; NULL: not yet */
    struct metric_cell *number, *done, *failed, *rolled_back;
    pthread_t watcher; /* stores what runs, and looks at the trial while one is on */
    bool watched;
    bool stopping;
    pthread_cond_t changed; /* to the watcher: other scripts run, or it shall end */
    int64_t store_us;       /* when the running generation is to be stored; 0: it is */
};

static struct metric_cell *info_of(const char *hash) {
    return metric_cell(metric_family(METRIC_GAUGE, "ras_scripts_info",
                                     "1 under the hash of the scripts that run, 0 under others.",
                                     "hash"),
                       hash);
}

static void show_running(struct reload *reload) {
    const struct script_generation *running = kept_running(&reload->kept);
    uint64_t number = script_generation_number(running);
    const char *hash = script_generation_hash(running);
    metric_set(reload->number, (double)number);
    if (reload->info) {
        metric_set(reload->info, 0);
    }
    reload->info = info_of(hash);
    metric_set(reload->info, 1);
    health_set_scripts(reload->options.health, number, hash);
    presence_set_scripts(reload->options.presence, number, hash);
}

static struct metric_cell *reloads(const char *result) {
    return metric_cell(metric_family(METRIC_COUNTER, "ras_script_reloads_total",
                                     "Reloads and rollbacks, by how they ended.", "result"),
                       result);
}

static void *watch(void *context);

static void end_watch(struct reload *reload) {
    pthread_mutex_lock(&reload->lock);
    reload->stopping = true;
    pthread_cond_signal(&reload->changed);
    pthread_mutex_unlock(&reload->lock);
    if (reload->watched) {
        pthread_join(reload->watcher, NULL);
    }
}

struct reload *reload_create(const struct reload_options *options) {
    struct reload *reload = xcalloc(1, sizeof *reload);
    reload->options = *options;
    pthread_mutex_init(&reload->lock, NULL);
    clock_condition_init(&reload->changed);
    reload->lint = lint_create();
    trial_init(&reload->trial, options->ingest);
    reload->last_number = script_generation_number(options->generation);
    kept_add(&reload->kept, options->generation);
    reload->number = metric_single(METRIC_GAUGE, "ras_script_generation",
                                   "Number of the script generation that runs.");
    reload->done = reloads("done");
    reload->failed = reloads("failed");
    reload->rolled_back = reloads("rolled_back");
    show_running(reload);
    reload->store_us = clock_monotonic_us();
    memcpy(reload->tried_hash, script_generation_hash(options->generation),
           sizeof reload->tried_hash);
    reload->watched = pthread_create(&reload->watcher, NULL, watch, reload) == 0;
    if (!reload->watched) {
        log_error(
            "no thread watches reloaded scripts: a bad generation is not rolled back, and none "
            "is stored");
    }
    return reload;
}

void reload_destroy(struct reload *reload) {
    if (reload) {
        end_watch(reload);
        pthread_cond_destroy(&reload->changed);
        lint_destroy(reload->lint);
        kept_clear(&reload->kept);
        pthread_mutex_destroy(&reload->lock);
        free(reload);
    }
}

/* ---- the change ---------------------------------------------------------------------------- */

/* Where they have not changed, what the command line said of the log still holds. */
static void apply_log_settings(const struct config *old, const struct config *config) {
    enum log_level level;
    bool same = strcmp(old->log.level, config->log.level) == 0 &&
                strcmp(old->log.format, config->log.format) == 0;
    if (!same && log_level_parse(config->log.level, &level)) {
        log_configure(level, strcmp(config->log.format, "text") == 0);
    }
}

/* From now on `built` has the routes before. Returns how many workers are still to take theirs. */
static size_t replace(struct reload *reload, struct script_generation *generation,
                      struct built *built, bool on_trial) {
    built->api = api_replace(reload->options.api, built->api);
    size_t waiting = ingest_replace(reload->options.ingest, built->ingest, REPLACE_TIMEOUT_MS);
    apply_log_settings(script_generation_config(kept_running(&reload->kept)),
                       script_generation_config(generation));
    kept_add(&reload->kept, generation);
    if (reload->last_number < script_generation_number(generation)) {
        reload->last_number = script_generation_number(generation);
    }
    trial_begin(&reload->trial, script_generation_config(generation), on_trial);
    reload->store_us = clock_monotonic_us();
    pthread_cond_signal(&reload->changed);
    show_running(reload);
    return waiting;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static bool refuse(struct reload *reload, const char *verb, const struct err *err,
                   const struct buffer *report, struct buffer *json) {
    metric_add(reload->failed, 1);
    log_error("scripts are not replaced", LOG_TEXT("by", verb), LOG_TEXT("error", err->text));
    buffer_append_text(json, "{");
    json_put_bool(json, "done", false);
    answer_put_generation(json, kept_running(&reload->kept));
    json_put_text(json, "error", slice_of(err->text));
    answer_put_canary(json, report);
    buffer_append_text(json, "}");
    return false;
}

static bool fail(struct reload *reload, const char *verb, const struct err *err,
                 struct buffer *json) {
    static const struct buffer none;
    return refuse(reload, verb, err, &none, json);
}

/* Replaces what runs by the generation, which the caller keeps; `json` has everything but the end
 * of the answer. */
static void finish(struct reload *reload, const char *verb, struct script_generation *generation,
                   struct built *built, int64_t started_us, struct buffer *json) {
    bool on_trial = strcmp(verb, BY_RELOAD) == 0;
    size_t waiting = replace(reload, generation, built, on_trial);
    int64_t took_us = clock_monotonic_us() - started_us;
    metric_add(reload->done, 1);
    json_put_int(json, "workers", (int64_t)ingest_worker_count(reload->options.ingest));
    json_put_int(json, "waiting_workers", (int64_t)waiting);
    json_put_name(json, "took_ms");
    buffer_append_format(json, "%.1f}", (double)took_us / 1000);
    log_info("scripts replaced", LOG_TEXT("by", verb),
             LOG_INT("generation", (int64_t)script_generation_number(generation)),
             LOG_TEXT("scripts", script_generation_hash(generation)),
             LOG_INT("waiting_workers", (int64_t)waiting), LOG_INT("took_us", took_us));
    api_retire(reload->options.api, built->api);
}

/* ---- reload -------------------------------------------------------------------------------- */

static void count_live(void *count, const char *section, const char *key, bool live) {
    (void)section;
    (void)key;
    *(int *)count += live;
}

static bool is_same(const struct script_generation *running,
                    const struct script_generation *generation, const struct config *fresh) {
    int live = 0;
    config_compare(script_generation_config(running), fresh, count_live, &live);
    return live == 0 &&
           strcmp(script_generation_hash(running), script_generation_hash(generation)) == 0;
}

static struct canary_options canary_options(const struct reload *reload,
                                            struct script_generation *generation) {
    return (struct canary_options){.running = script_generation_ref(kept_running(&reload->kept)),
                                   .candidate = generation,
                                   .stop_fd = reload->options.stop_fd};
}

static bool canary_passes(const struct canary_options *options, struct buffer *report,
                          struct err *err) {
    struct canary_result result;
    bool ok = canary_run(options, &result, err) && canary_accepts(options, &result, err);
    buffer_append(report, result.json.data, result.json.len);
    canary_free(&result);
    return ok;
}

/* Under the lock, but for the specs and the canary, which take long. True: the generation passes
 * them, and what it was compared with still runs. */
static bool passes_slow_checks(struct reload *reload, const struct canary_request *canary,
                               struct script_generation *generation, struct buffer *report,
                               struct err *err) {
    if (!canary && !gate_is_there(generation)) {
        return true;
    }
    struct canary_options options = canary_options(reload, generation);
    pthread_mutex_unlock(&reload->lock);
    bool ok = gate_run(reload->options.config_path, generation, err);
    if (ok && canary) {
        options.request = *canary;
        ok = canary_passes(&options, report, err);
    }
    pthread_mutex_lock(&reload->lock);
    if (ok && (kept_running(&reload->kept) != options.running ||
               script_generation_number(generation) != reload->last_number + 1)) {
        ok = err_set(err, ERR_CONFLICT, "other scripts have come to run meanwhile: say it again");
    }
    script_generation_unref(options.running);
    return ok;
}

/* Whether the generation can replace the one that runs; then everything for it is built. */
static bool prepare(struct reload *reload, const struct canary_request *canary,
                    struct script_generation *generation, struct built *built,
                    struct buffer *report, struct err *err) {
    return lint_generation(reload->lint, generation, kept_running(&reload->kept), err) !=
               LINT_BAD &&
           passes_slow_checks(reload, canary, generation, report, err) &&
           built_make(built, generation, reload->options.health, reload->options.ingest, err);
}

static bool reload_by(struct reload *reload, const struct canary_request *canary,
                      struct script_generation *generation, const struct config *fresh,
                      int64_t started_us, struct buffer *json) {
    struct script_generation *running = kept_running(&reload->kept);
    struct built built;
    struct buffer report = {0};
    struct err err = {0};
    bool same = is_same(running, generation, fresh);
    if (!same && !prepare(reload, canary, generation, &built, &report, &err)) {
        refuse(reload, BY_RELOAD, &err, &report, json);
        buffer_free(&report);
        return false;
    }
    buffer_append_text(json, "{");
    json_put_bool(json, "done", !same);
    answer_put_generation(json, same ? running : generation);
    answer_put_changes(json, running, generation, fresh);
    answer_put_canary(json, &report);
    buffer_free(&report);
    if (same) {
        json_put_text(json, "reason", slice_of("nothing has changed"));
        buffer_append_text(json, "}");
        return false;
    }
    finish(reload, BY_RELOAD, generation, &built, started_us, json);
    return true;
}

/* What stands on the disk, under the next number. NULL: *fresh may be there all the same. */
static struct script_generation *load(struct reload *reload, struct config **fresh,
                                      struct err *err) {
    struct script_generation *generation = NULL;
    *fresh = config_load(reload->options.config_path, err);
    if (*fresh) {
        struct config *config =
            config_renew(script_generation_config(kept_running(&reload->kept)), *fresh);
        generation = script_generation_load(config, reload->last_number + 1, err);
        config_unref(config);
    }
    return generation;
}

bool reload_from_disk(struct reload *reload, const struct canary_request *canary,
                      struct buffer *json) {
    int64_t started_us = clock_monotonic_us();
    struct err err = {0};
    struct config *fresh;
    pthread_mutex_lock(&reload->lock);
    struct script_generation *generation = load(reload, &fresh, &err);
    bool done = generation ? reload_by(reload, canary, generation, fresh, started_us, json)
                           : fail(reload, BY_RELOAD, &err, json);
    script_generation_unref(generation);
    config_unref(fresh);
    pthread_mutex_unlock(&reload->lock);
    return done;
}

void reload_if_changed(struct reload *reload) {
    char hash[SCRIPT_HASH_LEN + 1];
    struct err err = {0};
    struct buffer answer = {0}; /* the log says the same */
    pthread_mutex_lock(&reload->lock);
    bool changed =
        script_sources_hash(script_generation_config(kept_running(&reload->kept)), hash, &err) &&
        strcmp(hash, reload->tried_hash) != 0;
    if (changed) {
        memcpy(reload->tried_hash, hash, sizeof hash);
    }
    pthread_mutex_unlock(&reload->lock);
    if (changed) {
        reload_from_disk(reload, NULL, &answer);
    }
    buffer_free(&answer);
}

bool reload_diff(struct reload *reload, int64_t events, struct buffer *json, struct err *err) {
    struct config *fresh;
    struct canary_result result = {0};
    pthread_mutex_lock(&reload->lock);
    struct canary_options options = canary_options(reload, load(reload, &fresh, err));
    pthread_mutex_unlock(&reload->lock);
    options.request.events = events;
    bool ok = options.candidate && canary_run(&options, &result, err);
    buffer_append(json, result.json.data, result.json.len);
    canary_free(&result);
    script_generation_unref(options.candidate);
    script_generation_unref(options.running);
    config_unref(fresh);
    return ok;
}

/* ---- rollback ------------------------------------------------------------------------------ */

static bool roll_back_to(struct reload *reload, const char *verb,
                         struct script_generation *generation, struct buffer *json) {
    int64_t started_us = clock_monotonic_us();
    struct built built;
    struct err err = {0};
    if (!built_make(&built, generation, reload->options.health, reload->options.ingest, &err)) {
        return fail(reload, verb, &err, json);
    }
    buffer_append_text(json, "{");
    json_put_bool(json, "done", true);
    answer_put_generation(json, generation);
    answer_put_changed(json, kept_running(&reload->kept), generation);
    finish(reload, verb, generation, &built, started_us, json);
    return true;
}

static struct script_generation *find(const struct reload *reload, struct slice which,
                                      struct err *err) {
    struct script_generation *generation = kept_find(&reload->kept, which, err);
    if (generation || err->kind != ERR_NONE) {
        return generation;
    }
    const struct script_generation *running = kept_running(&reload->kept);
    return store_load(script_generation_config(running), reload->last_number + 1, which,
                      script_generation_hash(running), err);
}

/* Under the lock. */
static bool roll_back(struct reload *reload, const char *verb, struct slice which,
                      struct buffer *json) {
    struct err err = {0};
    struct script_generation *generation = find(reload, which, &err);
    bool done =
        generation ? roll_back_to(reload, verb, generation, json) : fail(reload, verb, &err, json);
    script_generation_unref(generation);
    return done;
}

bool reload_roll_back(struct reload *reload, struct slice which, struct buffer *json) {
    pthread_mutex_lock(&reload->lock);
    bool done = roll_back(reload, "rollback", which, json);
    pthread_mutex_unlock(&reload->lock);
    return done;
}

/* ---- scripts on trial ---------------------------------------------------------------------- */

/* Under the lock. */
static void look(struct reload *reload) {
    char reason[160];
    struct buffer answer = {0}; /* the log says the same */
    enum trial_verdict verdict = trial_look(&reload->trial, reason, sizeof reason);
    if (verdict == TRIAL_PASSED) {
        log_info("the new scripts have passed their trial");
    } else if (verdict == TRIAL_FAILED) {
        log_error("the new scripts reject more than those before, which are brought back; what was "
                  "rejected: aggregator rejected list",
                  LOG_TEXT("reason", reason));
        metric_add(reload->rolled_back, roll_back(reload, "trial", slice_of(""), &answer));
    }
    buffer_free(&answer);
}

/* ---- the watcher --------------------------------------------------------------------------- */

/* Under the lock, which it leaves while it asks the database. */
static void store_running(struct reload *reload) {
    struct script_generation *running = script_generation_ref(kept_running(&reload->kept));
    struct err err = {0};
    reload->store_us = 0;
    pthread_mutex_unlock(&reload->lock);
    bool ok = store_save(running, &err);
    pthread_mutex_lock(&reload->lock);
    if (!ok) {
        log_warning("the running scripts are not stored yet: a rollback after a restart would not "
                    "find them; tried again",
                    LOG_TEXT("error", err.text));
        reload->store_us = clock_monotonic_us() + STORE_AGAIN_S * 1000000LL;
    }
    script_generation_unref(running);
}

/* 0: never. */
static int64_t next_work_us(const struct reload *reload) {
    int64_t look_us = clock_monotonic_us() + LOOK_INTERVAL_MS * 1000LL;
    if (reload->trial.until_us == 0) {
        return reload->store_us;
    }
    return reload->store_us > 0 && reload->store_us < look_us ? reload->store_us : look_us;
}

static void *watch(void *context) {
    struct reload *reload = context;
    pthread_mutex_lock(&reload->lock);
    while (!reload->stopping) {
        int64_t next_us = next_work_us(reload);
        if (next_us == 0) {
            pthread_cond_wait(&reload->changed, &reload->lock);
        } else {
            clock_condition_wait(&reload->changed, &reload->lock, next_us);
        }
        look(reload);
        if (reload->store_us > 0 && reload->store_us <= clock_monotonic_us() && !reload->stopping) {
            store_running(reload);
        }
    }
    pthread_mutex_unlock(&reload->lock);
    return NULL;
}

void reload_list(struct reload *reload, struct buffer *json) {
    pthread_mutex_lock(&reload->lock);
    kept_list(&reload->kept, json);
    pthread_mutex_unlock(&reload->lock);
}
