/* from_disk: loads and checks the scripts and settings on the disk, then has them replace the
 * running ones. */
#include <stdio.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "bindings/service_manager.h"
#include "result_json.h"
#include "dropped.h"
#include "spec_gate.h"
#include "reload_private.h"

#define RETRY_US 3000000 /* of files that an outage or another change kept back */

struct setting_counts {
    int live, at_restart; /* changed settings */
};

static void from_disk_count_setting(void *context, const char *section, const char *key,
                                    bool live) {
    struct setting_counts *counts = context;
    (void)section;
    (void)key;
    *(live ? &counts->live : &counts->at_restart) += 1;
}

/* Why a reload has nothing to do; NULL: it has. */
static const char *from_disk_find_same(const struct script_generation *running,
                                       const struct script_generation *generation,
                                       const struct config *fresh) {
    struct setting_counts counts = {0};
    config_compare(script_generation_config(running), fresh, from_disk_count_setting, &counts);
    if (counts.live > 0 ||
        strcmp(script_generation_hash(running), script_generation_hash(generation)) != 0) {
        return NULL;
    }
    return counts.at_restart > 0 ? RELOAD_NEEDS_RESTART : RELOAD_NOTHING_CHANGED;
}

static void from_disk_note_step(struct reload *reload, struct in_progress_item *item,
                                const char *step) {
    pthread_mutex_lock(&reload->lock);
    item->step = step;
    pthread_mutex_unlock(&reload->lock);
}

/* ---- the slow checks ----------------------------------------------------------------------- */

static struct shadow_run_options
from_disk_shadow_run_options(const struct change *change, struct script_generation *generation) {
    return (struct shadow_run_options){.running = change->running,
                                       .candidate = generation,
                                       .stop_fd = change->reload->options.stop_fd};
}

static bool from_disk_shadow_run_passes(const struct shadow_run_options *options,
                                        struct buffer *report, struct err *err) {
    struct shadow_run_result result;
    bool ok = shadow_run(options, &result, err) && shadow_run_accepts(options, &result, err);
    buffer_append(report, result.json.data, result.json.len);
    shadow_run_free(&result);
    return ok;
}

static bool from_disk_lint_passes(const struct change *change,
                                  const struct script_generation *generation, struct err *err) {
    struct reload *reload = change->reload;
    pthread_mutex_lock(&reload->lint_lock);
    bool ok = lint_generation(reload->lint, generation, change->running, err) != LINT_BAD;
    pthread_mutex_unlock(&reload->lint_lock);
    return ok;
}

/* ---- a reload ------------------------------------------------------------------------------ */

/* A reload from disk. */
struct from_disk {
    struct change change;
    const struct reload_request *request;
    struct in_progress_item *item; /* NULL: refused */
    struct config *fresh;          /* the configuration on the disk */
    struct script_generation *generation;
    struct buffer report; /* of the shadow run */
};

/* Checks whether the generation can replace the running one; then builds its candidate. */
static bool from_disk_prepare(struct from_disk *from, struct candidate *candidate,
                              struct err *err) {
    const struct change *change = &from->change;
    struct reload *reload = change->reload;
    const struct reload_options *options = &reload->options;
    from_disk_note_step(reload, from->item, "checking");
    if (!from_disk_lint_passes(change, from->generation, err)) {
        return false;
    }
    if (script_generation_config(from->generation)->scripts.specs[0]) {
        from_disk_note_step(reload, from->item, "running the specs");
        if (!spec_gate_run(options->config_path, from->generation, options->stop_fd, err)) {
            return false;
        }
    }
    if (from->request->shadow_run) {
        struct shadow_run_options shadow = from_disk_shadow_run_options(change, from->generation);
        shadow.request = *from->request->shadow_run;
        from_disk_note_step(reload, from->item, "shadow run");
        if (!from_disk_shadow_run_passes(&shadow, &from->report, err)) {
            return false;
        }
    }
    from_disk_note_step(reload, from->item, "building");
    /* Unchanged files agreed with the schema when they started to run: only settings are new. */
    bool known = strcmp(script_generation_hash(change->running),
                        script_generation_hash(from->generation)) == 0;
    return candidate_make(candidate, from->generation, known, &options->sources, options->ingest,
                          err);
}

static void from_disk_put_result(const struct from_disk *from, bool done, struct buffer *json) {
    const struct script_generation *running = from->change.running;
    buffer_append_text(json, "{");
    json_put_bool(json, "done", done);
    result_json_put_generation(json, done ? from->generation : running);
    result_json_put_changes(json, running, from->generation, from->fresh);
    dropped_put(json, from->change.running, from->generation);
    result_json_put_shadow_run(json, &from->report);
}

static bool from_disk_replace(struct from_disk *from, struct buffer *json, struct err *err) {
    struct candidate candidate;
    const char *same = from_disk_find_same(from->change.running, from->generation, from->fresh);
    if (same) {
        from_disk_put_result(from, false, json);
        json_put_text(json, "reason", slice_of(same));
        buffer_append_text(json, "}");
        return false;
    }
    if (!dropped_allow(from->change.running, from->generation, from->request->drop, err) ||
        !from_disk_prepare(from, &candidate, err) ||
        !reload_swap(&from->change, from->generation, &candidate, err)) {
        return reload_refuse(&from->change, err, &from->report, json);
    }
    from_disk_put_result(from, true, json);
    reload_finish(&from->change, from->generation, json);
    return true;
}

struct script_generation *from_disk_load(const struct change *change, const struct config *fresh,
                                         struct err *err) {
    struct config *config = config_renew(script_generation_config(change->running), fresh);
    struct script_generation *generation =
        script_generation_load_service(config, change->last_number + 1, err);
    config_unref(config);
    return generation;
}

static bool from_disk_take_certificates(const struct from_disk *from, uint64_t turn,
                                        struct err *err) {
    const struct reload_options *options = &from->change.reload->options;
    struct certificates_of http = certificates_of_http(from->fresh);
    struct certificates_of admin = certificates_of_admin(from->fresh);
    http.turn = admin.turn = turn;
    return certificates_replace(options->certificates, &http, err) &&
           (!options->admin_certificates ||
            certificates_replace(options->admin_certificates, &admin, err));
}

/* Takes keys and certificates first, whatever the scripts are: a revoked key must not work because
 * scripts are bad or the database is unavailable. */
static bool from_disk_admit_and_load(struct from_disk *from, struct err *err) {
    struct reload *reload = from->change.reload;
    struct err refusal = {0};
    uint64_t turn = api_begin_admission(reload->options.api);
    from->fresh = config_load(reload->options.config_path, err);
    /* Certificates first: a client whose stream is ended must meet the new ones. */
    bool served = from->fresh && from_disk_take_certificates(from, turn, &refusal);
    if (!from->fresh || !api_admit(reload->options.api, turn, from->fresh, err)) {
        return false;
    }
    if (!served) {
        *err = refusal;
        return false;
    }
    from->generation = from_disk_load(&from->change, from->fresh, err);
    return from->generation != NULL;
}

static struct in_progress_item *from_disk_begin_item(struct reload *reload, struct err *err) {
    pthread_mutex_lock(&reload->lock);
    struct in_progress_item *item = in_progress_begin(&reload->in_progress, err);
    pthread_mutex_unlock(&reload->lock);
    return item;
}

static void from_disk_tell_ready(struct reload *reload) {
    char status[128];
    pthread_mutex_lock(&reload->lock);
    snprintf(status, sizeof status, "Runs scripts %s",
             script_generation_hash(history_running(&reload->history)));
    pthread_mutex_unlock(&reload->lock);
    service_manager_tell_ready(status);
}

static void from_disk_end(struct from_disk *from) {
    struct reload *reload = from->change.reload;
    if (from->item) {
        pthread_mutex_lock(&reload->lock);
        in_progress_end(from->item);
        pthread_mutex_unlock(&reload->lock);
    }
    buffer_free(&from->report);
    script_generation_unref(from->generation);
    config_unref(from->fresh);
    reload_end(&from->change);
    from_disk_tell_ready(reload);
}

/* As reload_from_disk; err says why it was refused. */
static bool from_disk_run(struct reload *reload, const struct reload_request *request,
                          struct buffer *json, struct err *err) {
    struct from_disk from = {.change = reload_begin(reload, BY_RELOAD), .request = request};
    service_manager_tell_reloading();
    from.item = from_disk_begin_item(reload, err);
    bool done = from.item && from_disk_admit_and_load(&from, err)
                    ? from_disk_replace(&from, json, err)
                    : reload_refuse(&from.change, err, NULL, json);
    from_disk_end(&from);
    return done;
}

bool reload_from_disk(struct reload *reload, const struct reload_request *request,
                      struct buffer *json) {
    struct err err = {0};
    return from_disk_run(reload, request, json, &err);
}

/* Whether the same files may be taken later: an outage, or another change. */
static bool from_disk_is_passing(enum err_kind kind) {
    return kind == ERR_UNAVAILABLE || kind == ERR_CONFLICT || kind == ERR_BUSY;
}

void reload_if_changed(struct reload *reload) {
    char hash[SCRIPT_HASH_LEN + 1];
    struct err err = {0};
    struct buffer result = {0}; /* the log has the same */
    struct change change = reload_begin(reload, BY_RELOAD);
    if (clock_monotonic_us() >= reload->retry_us &&
        script_sources_hash(script_generation_config(change.running), hash, &err) &&
        strcmp(hash, reload->tried_hash) != 0) {
        (void)from_disk_run(reload, &(struct reload_request){0}, &result, &err);
        if (from_disk_is_passing(err.kind)) {
            reload->retry_us = clock_monotonic_us() + RETRY_US;
        } else {
            memcpy(reload->tried_hash, hash, sizeof hash);
        }
    }
    reload_end(&change);
    buffer_free(&result);
}
