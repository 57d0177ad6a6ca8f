/* rollback: replaces the running scripts by earlier ones, from memory or from the store. */
#include "base/json_put.h"
#include "result_json.h"
#include "dropped.h"
#include "reload_private.h"
#include "generation_store.h"

static bool rollback_replace(const struct change *change, struct script_generation *generation,
                             bool known, struct buffer *json) {
    const struct reload_options *options = &change->reload->options;
    struct candidate candidate;
    struct err err = {0};
    if (!candidate_make(&candidate, generation, known, &options->sources, options->ingest, &err) ||
        !reload_swap(change, generation, &candidate, &err)) {
        return reload_refuse(change, &err, NULL, json);
    }
    buffer_append_text(json, "{");
    json_put_bool(json, "done", true);
    result_json_put_generation(json, generation);
    result_json_put_changed(json, change->running, generation);
    dropped_put(json, change->running, generation);
    reload_finish(change, generation, json);
    return true;
}

/* *known: it is in memory, so it has run on this database. */
static struct script_generation *rollback_find(const struct change *change, struct slice which,
                                               bool *known, struct err *err) {
    struct reload *reload = change->reload;
    pthread_mutex_lock(&reload->lock);
    struct script_generation *generation = history_find(&reload->history, which, err);
    pthread_mutex_unlock(&reload->lock);
    *known = generation != NULL;
    if (generation || err->kind != ERR_NONE) {
        return generation;
    }
    generation =
        generation_store_load(script_generation_config(change->running), change->last_number + 1,
                              which, script_generation_hash(change->running), err);
    if (generation && !script_generation_fits(generation, err)) { /* it gets today's settings */
        script_generation_unref(generation);
        generation = NULL;
    }
    return generation;
}

bool rollback_by(struct change *change, struct slice which, struct buffer *json) {
    struct err err = {0};
    bool known;
    struct script_generation *generation = rollback_find(change, which, &known, &err);
    bool done = generation ? rollback_replace(change, generation, known, json)
                           : reload_refuse(change, &err, NULL, json);
    script_generation_unref(generation);
    reload_end(change);
    return done;
}

bool reload_roll_back(struct reload *reload, struct slice which, struct buffer *json) {
    struct change change = reload_begin(reload, "rollback");
    return rollback_by(&change, which, json);
}
