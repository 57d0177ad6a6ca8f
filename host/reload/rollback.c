/* rollback: back to scripts that ran before, from memory or from the store. */
#include "../base/clock.h"
#include "../base/json_put.h"
#include "answer.h"
#include "reload_private.h"
#include "store.h"

static bool roll_back_to(struct reload *reload, const char *verb,
                         struct script_generation *generation, struct buffer *json) {
    int64_t started_us = clock_monotonic_us();
    struct built built;
    struct err err = {0};
    if (!built_make(&built, generation, reload->options.health, reload->options.ingest, &err)) {
        return reload_refuse(reload, verb, &err, NULL, json);
    }
    buffer_append_text(json, "{");
    json_put_bool(json, "done", true);
    answer_put_generation(json, generation);
    answer_put_changed(json, kept_running(&reload->kept), generation);
    reload_finish(reload, verb, generation, &built, started_us, json);
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

bool rollback_by(struct reload *reload, const char *verb, struct slice which, struct buffer *json) {
    struct err err = {0};
    struct script_generation *generation = find(reload, which, &err);
    bool done = generation ? roll_back_to(reload, verb, generation, json)
                           : reload_refuse(reload, verb, &err, NULL, json);
    script_generation_unref(generation);
    return done;
}

bool reload_roll_back(struct reload *reload, struct slice which, struct buffer *json) {
    pthread_mutex_lock(&reload->lock);
    bool done = rollback_by(reload, "rollback", which, json);
    pthread_mutex_unlock(&reload->lock);
    return done;
}
