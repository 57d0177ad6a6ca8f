/* disk: what stands on the disk is loaded, checked and made to run. */
#include "../base/clock.h"
#include "../base/json_put.h"
#include "answer.h"
#include "gate.h"
#include "reload_private.h"

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
        reload_refuse(reload, BY_RELOAD, &err, &report, json);
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
    reload_finish(reload, BY_RELOAD, generation, &built, started_us, json);
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
                           : reload_refuse(reload, BY_RELOAD, &err, NULL, json);
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
