#include "script_changes.h"

#include "base/json_put.h"
#include "generation_store.h"
#include "reload_private.h"

/* A new reference. */
static struct script_generation *script_changes_running(struct reload *reload) {
    pthread_mutex_lock(&reload->lock);
    struct script_generation *running = script_generation_ref(history_running(&reload->history));
    pthread_mutex_unlock(&reload->lock);
    return running;
}

/* A new reference; NULL: err. */
static struct script_generation *script_changes_earlier(struct reload *reload,
                                                        struct script_generation *running,
                                                        struct slice which, struct err *err) {
    pthread_mutex_lock(&reload->lock);
    struct script_generation *found = history_find(&reload->history, which, err);
    uint64_t number = reload->last_number + 1;
    pthread_mutex_unlock(&reload->lock);
    if (found || err->kind != ERR_NONE) {
        return found;
    }
    return generation_store_load(script_generation_config(running), number, which,
                                 script_generation_hash(running), err);
}

static struct script_generation *script_changes_find(struct reload *reload,
                                                     struct script_generation *running,
                                                     struct slice which, struct err *err) {
    if (slice_equal(which, slice_of("running")) || history_is_named(running, which)) {
        return script_generation_ref(running);
    }
    return slice_equal(which, slice_of("disk"))
               ? script_generation_read(script_generation_config(running), err)
               : script_changes_earlier(reload, running, which, err);
}

static void script_changes_put_file(struct buffer *json, const struct script_source *before,
                                    const struct script_source *after) {
    if (before && after && slice_equal(before->text, after->text)) {
        return;
    }
    json_open(json, NULL, "{");
    json_put_text(json, "path", slice_of(after ? after->path : before ? before->path : ""));
    json_put_text(json, "before", before ? before->text : (struct slice){0});
    json_put_text(json, "after", after ? after->text : (struct slice){0});
    buffer_append_text(json, "}");
}

/* Both sets are in the order of their names. */
static void script_changes_put_files(struct buffer *json, const struct script_generation *from,
                                     const struct script_generation *to) {
    struct script_source before, after;
    size_t b = 0, a = 0;
    for (;;) {
        bool has_before = script_generation_source(from, b, &before);
        bool has_after = script_generation_source(to, a, &after);
        if (!has_before && !has_after) {
            return;
        }
        int order = !has_after ? -1 : !has_before ? 1 : strcmp(before.name, after.name);
        script_changes_put_file(json, order <= 0 ? &before : NULL, order >= 0 ? &after : NULL);
        b += order <= 0;
        a += order >= 0;
    }
}

bool reload_script_changes(struct reload *reload, struct slice from, struct slice to,
                           struct buffer *json, struct err *err) {
    struct script_generation *running = script_changes_running(reload);
    struct script_generation *old = script_changes_find(reload, running, from, err);
    struct script_generation *new = old ? script_changes_find(reload, running, to, err) : NULL;
    if (new) {
        buffer_append_text(json, "{");
        json_put_text(json, "from", slice_of(script_generation_hash(old)));
        json_put_text(json, "to", slice_of(script_generation_hash(new)));
        json_open(json, "files", "[");
        script_changes_put_files(json, old, new);
        buffer_append_text(json, "]}");
    }
    script_generation_unref(old);
    script_generation_unref(new);
    script_generation_unref(running);
    return new != NULL;
}
