#include "reload.h"

#include <pthread.h>
#include <stdlib.h>

#include "../clock.h"
#include "../json_put.h"
#include "../log.h"
#include "../metrics.h"
#include "../schema_check.h"
#include "../script/lint.h"
#include "../xalloc.h"
#include "gate.h"
#include "kept.h"
#include "store.h"
#include "trial.h"

#define CHECK_TIMEOUT_MS 5000
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
    struct metric_cell *number, *done, *failed, *rolled_back;
    pthread_t watcher; /* stores what runs, and looks at the trial while one is on */
    bool watched;
    bool stopping;
    pthread_cond_t changed; /* to the watcher: other scripts run, or it shall end */
    int64_t store_us;       /* when the running generation is to be stored; 0: it is */
};

static void show_number(struct reload *reload) {
    const struct script_generation *running = kept_running(&reload->kept);
    metric_set(reload->number, (double)script_generation_number(running));
    health_set_scripts(reload->options.health, script_generation_number(running),
                       script_generation_hash(running));
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
    show_number(reload);
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

/* ---- building aside ------------------------------------------------------------------------ */

struct built {
    struct api_scripts *api;
    struct ingest_scripts *ingest;
};

static void discard(struct built *built) {
    api_scripts_destroy(built->api);
    ingest_scripts_destroy(built->ingest);
}

static bool check_schema(const struct script_generation *generation, struct err *err) {
    struct sql_session session;
    bool ok = sql_session_borrow(&session, script_generation_config(generation),
                                 "aggregator reload", CHECK_TIMEOUT_MS, err) &&
              schema_check(&session, generation, err);
    sql_session_give_back(&session);
    return ok;
}

static bool build(struct reload *reload, struct script_generation *generation, struct built *built,
                  struct err *err) {
    *built = (struct built){0};
    if (!check_schema(generation, err)) {
        return false;
    }
    built->api = api_scripts_create(generation, reload->options.health, err);
    if (built->api) {
        built->ingest = ingest_scripts_create(reload->options.ingest, generation, err);
    }
    if (!built->ingest) {
        discard(built);
        return false;
    }
    return true;
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
    show_number(reload);
    return waiting;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void put_generation(struct buffer *json, const struct script_generation *generation) {
    json_put_int(json, "generation", (int64_t)script_generation_number(generation));
    json_put_text(json, "hash", slice_of(script_generation_hash(generation)));
}

static void note_file(void *json, const char *path) {
    json_put_text(json, NULL, slice_of(path));
}

static void put_changed(struct buffer *json, const struct script_generation *old,
                        const struct script_generation *new) {
    json_put_name(json, "changed");
    buffer_append_text(json, "[");
    script_generation_compare(old, new, note_file, json);
    buffer_append_text(json, "]");
}

struct settings {
    struct buffer *json;
    bool live;
};

static void note_setting(void *context, const char *section, const char *key, bool live) {
    const struct settings *settings = context;
    char name[128];
    if (live == settings->live) {
        snprintf(name, sizeof name, "%s.%s", section, key);
        json_put_text(settings->json, NULL, slice_of(name));
    }
}

static void put_settings(struct buffer *json, const char *name, const struct config *old,
                         const struct config *fresh, bool live) {
    struct settings settings = {json, live};
    json_put_name(json, name);
    buffer_append_text(json, "[");
    config_compare(old, fresh, note_setting, &settings);
    buffer_append_text(json, "]");
}

static bool fail(struct reload *reload, const char *verb, const struct err *err,
                 struct buffer *json) {
    metric_add(reload->failed, 1);
    log_error("scripts are not replaced", LOG_TEXT("by", verb), LOG_TEXT("error", err->text));
    buffer_append_text(json, "{");
    json_put_bool(json, "done", false);
    put_generation(json, kept_running(&reload->kept));
    json_put_text(json, "error", slice_of(err->text));
    buffer_append_text(json, "}");
    return false;
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

/* Appends what is the same of both answers, nothing changed or all replaced. */
static void put_changes(struct buffer *json, const struct script_generation *running,
                        const struct script_generation *generation, const struct config *fresh) {
    const struct config *old = script_generation_config(running);
    put_changed(json, running, generation);
    put_settings(json, "settings", old, fresh, true);
    put_settings(json, "needs_restart", old, fresh, false);
}

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

static bool reload_by(struct reload *reload, struct script_generation *generation,
                      const struct config *fresh, int64_t started_us, struct buffer *json) {
    struct script_generation *running = kept_running(&reload->kept);
    struct built built;
    struct err err = {0};
    bool same = is_same(running, generation, fresh);
    if (!same && (lint_generation(reload->lint, generation, running, &err) == LINT_BAD ||
                  !gate_run(reload->options.config_path, generation, &err) ||
                  !build(reload, generation, &built, &err))) {
        return fail(reload, BY_RELOAD, &err, json);
    }
    buffer_append_text(json, "{");
    json_put_bool(json, "done", !same);
    put_generation(json, same ? running : generation);
    put_changes(json, running, generation, fresh);
    if (same) {
        json_put_text(json, "reason", slice_of("nothing has changed"));
        buffer_append_text(json, "}");
        return false;
    }
    finish(reload, BY_RELOAD, generation, &built, started_us, json);
    return true;
}

bool reload_from_disk(struct reload *reload, struct buffer *json) {
    int64_t started_us = clock_monotonic_us();
    struct err err = {0};
    struct script_generation *generation = NULL;
    pthread_mutex_lock(&reload->lock);
    struct config *fresh = config_load(reload->options.config_path, &err);
    if (fresh) {
        struct config *config =
            config_renew(script_generation_config(kept_running(&reload->kept)), fresh);
        generation = script_generation_load(config, reload->last_number + 1, &err);
        config_unref(config);
    }
    bool done = generation ? reload_by(reload, generation, fresh, started_us, json)
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
        reload_from_disk(reload, &answer);
    }
    buffer_free(&answer);
}

/* ---- rollback ------------------------------------------------------------------------------ */

static bool roll_back_to(struct reload *reload, const char *verb,
                         struct script_generation *generation, struct buffer *json) {
    int64_t started_us = clock_monotonic_us();
    struct built built;
    struct err err = {0};
    if (!build(reload, generation, &built, &err)) {
        return fail(reload, verb, &err, json);
    }
    buffer_append_text(json, "{");
    json_put_bool(json, "done", true);
    put_generation(json, generation);
    put_changed(json, kept_running(&reload->kept), generation);
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
