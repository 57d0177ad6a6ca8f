#include "show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_put.h"
#include "base/nearest.h"
#include "base/redact.h"
#include "base/xalloc.h"
#include "environment_file.h"
#include "reader.h"

#define NAME_CAP 64
#define HIDDEN "***"

/* ---- values -------------------------------------------------------------------------------- */

static void show_put_strings(struct buffer *json, const char *name,
                             const struct config_strings *strings, bool secret) {
    json_open(json, name, "[");
    for (size_t i = 0; i < strings->count; i++) {
        json_put_text(json, NULL, slice_of(secret ? HIDDEN : strings->items[i]));
    }
    buffer_append_text(json, "]");
}

static void show_put_pairs(struct buffer *json, const char *name, const struct config_pairs *pairs,
                           bool plain) {
    json_open(json, name, "{");
    for (size_t i = 0; i < pairs->count; i++) {
        bool secret = !plain && config_is_secret_option(pairs->names[i]);
        json_put_text(json, pairs->names[i], slice_of(secret ? HIDDEN : pairs->values[i]));
    }
    buffer_append_text(json, "}");
}

static void show_put_text(struct buffer *json, const char *name, const struct config_field *field,
                          const char *text) {
    struct buffer shown = {0};
    if (field->kind == POSTGRES_URL || field->kind == REDIS_URL) {
        redact_append_url(&shown, text);
    } else {
        buffer_append_text(&shown, field->secret && text[0] ? HIDDEN : text);
    }
    json_put_text(json, name, buffer_slice(&shown));
    buffer_free(&shown);
}

/* The path as seen from another working folder. */
static void show_put_path(struct buffer *json, const char *name, const char *path) {
    char *absolute = path[0] ? realpath(path, NULL) : NULL;
    json_put_text(json, name, slice_of(absolute ? absolute : path));
    free(absolute);
}

static void show_put_value(struct buffer *json, const char *name, const struct config_field *field,
                           const struct config *config, bool plain) {
    const void *value = (const char *)config + field->offset;
    switch (field->kind) {
    case INTEGER:
        json_put_int(json, name, *(const int *)value);
        break;
    case SWITCH:
        json_put_bool(json, name, *(const int *)value);
        break;
    case STRINGS:
        show_put_strings(json, name, value, field->secret && !plain);
        break;
    case PAIRS:
        show_put_pairs(json, name, value, plain);
        break;
    default:
        if (plain && field->kind == PATH) {
            show_put_path(json, name, *(char *const *)value);
        } else if (plain) {
            json_put_text(json, name, slice_of(*(char *const *)value));
        } else {
            show_put_text(json, name, field, *(char *const *)value);
        }
    }
}

/* Lists and maps are empty by default. */
static void show_put_default(struct buffer *json, const struct config_field *field) {
    const char *text = field->standard;
    if (field->kind == INTEGER) {
        json_put_int(json, "default", strtol(text, NULL, 10));
    } else if (field->kind == SWITCH) {
        json_put_bool(json, "default", strcmp(text, "true") == 0);
    } else if (field->kind == STRINGS || field->kind == PAIRS) {
        json_put_name(json, "default");
        buffer_append_text(json, field->kind == STRINGS ? "[]" : "{}");
    } else {
        json_put_text(json, "default", slice_of(text));
    }
}

/* ---- a setting ----------------------------------------------------------------------------- */

static void show_put_source(struct buffer *json, const struct config_origin *origin) {
    const char *source = origin->files.count       ? "file"
                         : origin->variables.count ? "environment"
                                                   : "default";
    json_put_text(json, "source", slice_of(source));
    show_put_strings(json, "files", &origin->files, false);
    show_put_strings(json, "variables", &origin->variables, false);
    json_open(json, "in_environment_file", "[");
    for (size_t i = 0; i < origin->variables.count; i++) {
        if (environment_file_has(origin->variables.items[i])) {
            json_put_text(json, NULL, slice_of(origin->variables.items[i]));
        }
    }
    buffer_append_text(json, "]");
}

static void show_put_rules(struct buffer *json, const struct config_field *field) {
    char variable[CONFIG_VARIABLE_CAP];
    config_variable_name(field, variable);
    show_put_default(json, field);
    if (field->kind == INTEGER) {
        json_put_int(json, "min", field->min);
        json_put_int(json, "max", field->max);
    } else if (field->kind == WORD) {
        size_t len = strlen(field->words);
        json_put_text(json, "words", (struct slice){field->words + 1, len - 2});
    }
    json_put_text(json, "variable", slice_of(variable));
    json_put_text(json, "change", slice_of(field->live ? "reload" : "restart"));
    json_put_text(json, "description", slice_of(field->help));
}

struct difference {
    const struct config_field *field;
    bool differs, live;
};

static void show_note_difference(void *context, const char *section, const char *key, bool live) {
    struct difference *difference = context;
    if (strcmp(section, difference->field->section) == 0 &&
        strcmp(key, difference->field->key) == 0) {
        difference->differs = true;
        difference->live = live;
    }
}

static void show_put_disk(struct buffer *json, const struct config_view *view,
                          const struct config_field *field) {
    struct difference difference = {.field = field};
    config_compare(view->config, view->disk, show_note_difference, &difference);
    if (difference.differs) {
        show_put_value(json, "on_disk", field, view->disk, view->plain);
        json_put_bool(json, "needs_restart", !difference.live);
    }
}

static void show_put_setting(struct buffer *json, const struct config_view *view,
                             const struct config_field *field, const char *name) {
    json_open(json, NULL, "{");
    json_put_text(json, "key", slice_of(name));
    show_put_value(json, "value", field, view->config, view->plain);
    show_put_source(json, &view->config->origins[field - config_fields]);
    show_put_rules(json, field);
    if (view->disk) {
        show_put_disk(json, view, field);
    }
    buffer_append_text(json, "}");
}

/* ---- all of them --------------------------------------------------------------------------- */

static bool show_is_wanted(const struct config_view *view, const struct config_field *field,
                           const char *name) {
    return view->only.len == 0 || slice_equal(view->only, slice_of(name)) ||
           slice_equal(view->only, slice_of(field->section));
}

static bool show_refuse(const struct config_view *view, struct err *err) {
    char(*names)[NAME_CAP] = xcalloc(config_field_count, sizeof *names);
    const char **known = xcalloc(config_field_count, sizeof *known);
    for (size_t i = 0; i < config_field_count; i++) {
        snprintf(names[i], NAME_CAP, "%s.%s", config_fields[i].section, config_fields[i].key);
        known[i] = names[i];
    }
    char *word = xstrndup(view->only.data, view->only.len);
    const char *nearest = nearest_name(word, known, config_field_count);
    if (nearest) {
        err_set(err, ERR_INPUT, "no setting \"%.200s\": did you mean \"%s\"?", word, nearest);
    } else {
        err_set(err, ERR_INPUT, "no setting \"%.200s\": `aggregator config` lists them", word);
    }
    free(word);
    free(known);
    free(names);
    return false;
}

bool config_show(const struct config_view *view, struct buffer *json, struct err *err) {
    size_t wanted = 0;
    buffer_append_text(json, "{");
    show_put_strings(json, "files", &view->config->files, false);
    if (view->disk_error) {
        json_put_text(json, "disk_error", slice_of(view->disk_error));
    }
    if (view->config->files.count > 0) {
        char *file = config_resolve(view->config->files.items[0], "environment");
        json_put_text(json, "environment_file", slice_of(file));
        free(file);
    }
    json_open(json, "settings", "[");
    for (size_t i = 0; i < config_field_count; i++) {
        char name[NAME_CAP];
        const struct config_field *field = &config_fields[i];
        const struct config_origin *origin = &view->config->origins[i];
        snprintf(name, sizeof name, "%s.%s", field->section, field->key);
        bool is_wanted = show_is_wanted(view, field, name);
        wanted += is_wanted;
        if (is_wanted && (!view->changed || origin->files.count + origin->variables.count > 0)) {
            show_put_setting(json, view, field, name);
        }
    }
    buffer_append_text(json, "]");
    show_put_strings(json, "warnings", &view->config->warnings, false);
    buffer_append_text(json, "}");
    return wanted > 0 || show_refuse(view, err);
}
