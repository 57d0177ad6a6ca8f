#include "result_json.h"

#include <stdio.h>

#include "base/json_put.h"

void result_json_put_generation(struct buffer *json, const struct script_generation *generation) {
    json_put_int(json, "generation", (int64_t)script_generation_number(generation));
    json_put_text(json, "hash", slice_of(script_generation_hash(generation)));
}

static void result_json_note_file(void *json, const char *path) {
    json_put_text(json, NULL, slice_of(path));
}

void result_json_put_changed(struct buffer *json, const struct script_generation *old,
                             const struct script_generation *new) {
    json_open(json, "changed", "[");
    script_generation_compare(old, new, result_json_note_file, json);
    buffer_append_text(json, "]");
}

struct settings {
    struct buffer *json;
    bool live;
};

static void result_json_note_setting(void *context, const char *section, const char *key,
                                     bool live) {
    const struct settings *settings = context;
    char name[128];
    if (live == settings->live) {
        snprintf(name, sizeof name, "%s.%s", section, key);
        json_put_text(settings->json, NULL, slice_of(name));
    }
}

static void result_json_put_settings(struct buffer *json, const char *name,
                                     const struct config *old, const struct config *fresh,
                                     bool live) {
    struct settings settings = {json, live};
    json_open(json, name, "[");
    config_compare(old, fresh, result_json_note_setting, &settings);
    buffer_append_text(json, "]");
}

void result_json_put_shadow_run(struct buffer *json, const struct buffer *report) {
    if (report->len > 0) {
        json_put_name(json, "shadow_run");
        buffer_append(json, report->data, report->len);
    }
}

void result_json_put_changes(struct buffer *json, const struct script_generation *running,
                             const struct script_generation *generation,
                             const struct config *fresh) {
    const struct config *old = script_generation_config(running);
    result_json_put_changed(json, running, generation);
    result_json_put_settings(json, "settings", old, fresh, true);
    result_json_put_settings(json, "needs_restart", old, fresh, false);
}
