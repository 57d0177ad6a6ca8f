/* A handler, its spec, and an event for it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "new_handler.lua.h"
#include "new_handler_spec.lua.h"
#include "scaffold.h"

/* ---- the event ----------------------------------------------------------------------------- */

static void handler_put_value(struct buffer *json, const struct extract_field *field) {
    static const char *const values[] = {[FIELD_STRING] = "\"text\"",
                                         [FIELD_INTEGER] = "1",
                                         [FIELD_NUMBER] = "1",
                                         [FIELD_BOOLEAN] = "true",
                                         [FIELD_JSON] = "{}",
                                         [FIELD_OBJECT] = "{}",
                                         [FIELD_STRINGS] = "[]",
                                         [FIELD_LIST] = "[]",
                                         [FIELD_UUID] = "\"7d0f7f0e-5f0c-4c0e-9a57-2f6a6f1f4a11\"",
                                         [FIELD_TIMESTAMP] = "\"2026-01-31T08:00:00.000000Z\""};
    if (field->choices) {
        buffer_append_json_string(json, slice_of(field->choices[0]));
    } else {
        buffer_append_text(json, values[field->type]);
    }
}

/* Whether one of the first fields lies at the path or inside it. */
static bool handler_has_path(const struct extract_field *fields, size_t count, struct slice path) {
    for (size_t i = 0; i < count; i++) {
        const char *other = fields[i].paths[0];
        if (strncmp(other, path.data, path.len) == 0 && strchr(".", other[path.len])) {
            return true;
        }
    }
    return false;
}

/* The object of the fields whose paths begin with `prefix`, which is empty or ends with a dot. */
static void handler_put_object(struct buffer *json, const struct extract_field *fields,
                               size_t count, struct slice prefix, int depth) {
    const char *separator = "{";
    for (size_t i = 0; i < count; i++) {
        const char *path = fields[i].paths[0], *name = path + prefix.len;
        if (strncmp(path, prefix.data, prefix.len) != 0) {
            continue;
        }
        struct slice whole = {path, prefix.len + strcspn(name, ".")};
        if (handler_has_path(fields, i, whole)) {
            continue;
        }
        buffer_append_format(json, "%s\n%*s", separator, 2 * depth + 2, "");
        buffer_append_json_string(json, (struct slice){name, strcspn(name, ".")});
        buffer_append_text(json, ": ");
        if (path[whole.len] == '.') {
            whole.len++;
            handler_put_object(json, fields, count, whole, depth + 1);
        } else {
            handler_put_value(json, &fields[i]);
        }
        separator = ",";
    }
    buffer_append_format(json, "\n%*s}", 2 * depth, "");
}

/* The scripts' envelope, and what new_handler.lua reads. */
static void handler_put_event(struct buffer *json, const struct extract_field *envelope,
                              size_t count) {
    static const char *const paths[] = {"data.entity_id", "data.status"};
    static const char *const choices[] = {"entity-1", "open"};
    struct extract_field *fields = xcalloc(count + 2, sizeof *fields);
    memcpy(fields, envelope, count * sizeof *fields);
    for (size_t i = 0; i < 2; i++) {
        fields[count + i] = (struct extract_field){.paths = &paths[i], .choices = &choices[i]};
    }
    handler_put_object(json, fields, count + 2, slice_of(""), 0);
    buffer_append_text(json, "\n");
    free(fields);
}

void scaffold_handler(struct scaffold *scaffold, const struct script_generation *generation,
                      const char *name, const char *topic) {
    const struct config *config = script_generation_config(generation);
    const struct scaffold_word words[] = {{"name", name}, {"topic", topic}, {NULL, NULL}};
    char path[4096];
    size_t count;
    const struct extract_field *envelope = script_generation_envelope(generation, &count);
    snprintf(path, sizeof path, "%s/handlers/%s.lua", config->scripts.root, name);
    scaffold_add(scaffold, path, new_handler_lua, words);
    snprintf(path, sizeof path, "spec/unit/handlers/%s_spec.lua", name);
    scaffold_add(scaffold, path, new_handler_spec_lua, words);
    snprintf(path, sizeof path, "spec/fixtures/events/%s.json", name);
    scaffold_add(scaffold, path, (const unsigned char *)"", words);
    handler_put_event(&scaffold->files[scaffold->count - 1].text, envelope, count);
}
