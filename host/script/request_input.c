/* request_input: checks the query, the headers and the body of a request by its route's
 * declaration. Query and headers become a JSON object, so that one plan of fields reads all three.
 */
#include <stdio.h>
#include <strings.h>

#include "base/json_put.h"
#include "base/json_scan.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "script_private.h"

#define MAX_NAMES 256
#define SHOWN_BYTES 80

/* ---- what a field takes -------------------------------------------------------------------- */

static void request_input_append_choices(struct buffer *text, const struct extract_field *field) {
    for (size_t i = 0; i < field->choice_count; i++) {
        buffer_append_format(text, "%s\"%s\"", i > 0 ? ", " : "one of ", field->choices[i]);
    }
}

static void request_input_append_bounds(struct buffer *text, const struct extract_field *field) {
    const char *unit = field->type == FIELD_STRING || field->type == FIELD_STRINGS ? " bytes" : "";
    if (field->has_min && field->has_max) {
        buffer_append_format(text, " from %.17g to %.17g%s", field->min, field->max, unit);
    } else if (field->has_min) {
        buffer_append_format(text, " of at least %.17g%s", field->min, unit);
    } else if (field->has_max) {
        buffer_append_format(text, " of at most %.17g%s", field->max, unit);
    }
}

/* "a whole number from 1 to 100" */
static void request_input_append_wanted(struct buffer *text, const struct extract_field *field) {
    static const char *const names[] = {[FIELD_STRING] = "a string",
                                        [FIELD_INTEGER] = "a whole number",
                                        [FIELD_BIGINT] = "a whole number of 64 bits",
                                        [FIELD_NUMBER] = "a number",
                                        [FIELD_BOOLEAN] = "true or false",
                                        [FIELD_TIMESTAMP] = "a time",
                                        [FIELD_DATE] = "a date such as 2025-06-28",
                                        [FIELD_UUID] = "a UUID",
                                        [FIELD_JSON] = "JSON",
                                        [FIELD_OBJECT] = "an object",
                                        [FIELD_STRINGS] = "a list of strings",
                                        [FIELD_LIST] = "a list"};
    if (field->choices) {
        request_input_append_choices(text, field);
    } else {
        buffer_append_text(text, names[field->type]);
        request_input_append_bounds(text, field);
    }
}

/* The field whose path the text begins with. */
static const struct extract_field *request_input_find(const struct script_part *part,
                                                      const char *text) {
    size_t len = strcspn(text, " ");
    for (size_t i = 0; i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            if (slice_equal(slice_of(part->fields[i].paths[p]), (struct slice){text, len})) {
                return &part->fields[i];
            }
        }
    }
    return NULL;
}

/* Makes "WHAT: limit is 0: it takes a whole number from 1 to 100" of "out_of_range: limit is 0".
 * Always false. */
static bool request_input_explain(const char *what, const struct script_part *part,
                                  struct err *err) {
    struct buffer text = {0};
    const char *colon = strstr(err->text, ": ");
    const char *sentence = colon ? colon + 2 : err->text;
    const struct extract_field *field = request_input_find(part, sentence);
    buffer_append_format(&text, "%s: %s", what, sentence);
    if (field) {
        buffer_append_text(&text, ": it takes ");
        request_input_append_wanted(&text, field);
    }
    err_set(err, ERR_INPUT, "%s", text.data);
    buffer_free(&text);
    return false;
}

static bool request_input_extract(const char *what, const struct script_part *part,
                                  struct slice document, struct arena *arena,
                                  const struct extract_value **values, struct err *err) {
    struct extract_value *read = arena_alloc(arena, (part->field_count + 1) * sizeof *read);
    *values = read;
    return extract_run(part->plan, document, arena, read, err) ||
           request_input_explain(what, part, err);
}

/* ---- query and headers --------------------------------------------------------------------- */

/* The declared path of this name. NULL: undeclared. */
static const char *request_input_path(const struct script_part *part, struct slice name,
                                      bool any_case, const struct extract_field **field) {
    for (size_t i = 0; i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            const char *path = part->fields[i].paths[p];
            if (strlen(path) == name.len && (any_case ? strncasecmp(path, name.data, name.len)
                                                      : memcmp(path, name.data, name.len)) == 0) {
                *field = &part->fields[i];
                return path;
            }
        }
    }
    return NULL;
}

static bool request_input_refuse_parameter(const struct script_part *part, struct slice name,
                                           struct err *err) {
    const char *names[MAX_NAMES];
    char word[SHOWN_BYTES + 1], hint[NEAREST_HINT_CAP];
    size_t count = 0;
    for (size_t i = 0; i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count && count < MAX_NAMES; p++) {
            names[count++] = part->fields[i].paths[p];
        }
    }
    size_t len = utf8_cut(name.data, name.len, SHOWN_BYTES);
    snprintf(word, sizeof word, "%.*s", (int)len, name.data);
    return err_set(err, ERR_INPUT, "Unknown query parameter \"%s\": %s", word,
                   nearest_hint(hint, word, names, count));
}

bool script_query_known(const struct script_route *route, const struct script_pair *query,
                        size_t count, struct err *err) {
    const struct extract_field *field;
    for (size_t i = 0; route->query && i < count; i++) {
        if (!request_input_path(route->query, query[i].name, false, &field)) {
            return request_input_refuse_parameter(route->query, query[i].name, err);
        }
    }
    return true;
}

/* Whether the text is JSON of this type; then it is a value as it is. */
static bool request_input_is_json(struct slice text, enum json_type type) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, text);
    return text.len > 0 && !json_is_space(text.data[0]) && json_read(&cursor, &value) &&
           value.type == type && value.raw.len == text.len;
}

static bool request_input_is_utf8(struct slice text) {
    for (size_t i = 0, step; i < text.len; i += step) {
        step = utf8_sequence(text.data + i, text.len - i);
        if (step == 0) {
            return false;
        }
    }
    return true;
}

/* Appends a member for the text. False: it is no value of the field's type. */
static bool request_input_put(struct buffer *json, const char *path, struct slice text,
                              const struct extract_field *field) {
    bool number = field->type == FIELD_INTEGER || field->type == FIELD_NUMBER;
    if (!number && field->type != FIELD_BOOLEAN) {
        json_put_text(json, path, text);
        return request_input_is_utf8(text);
    }
    json_put_name(json, path);
    buffer_append_slice(json, text);
    return request_input_is_json(text, number ? JSON_NUMBER : JSON_BOOL);
}

static bool request_input_refuse_text(const char *what, const char *path, struct slice value,
                                      const struct extract_field *field, struct err *err) {
    struct buffer text = {0};
    if (request_input_is_utf8(value)) {
        size_t len = utf8_cut(value.data, value.len, SHOWN_BYTES);
        buffer_append_format(&text, "\"%.*s\": it takes ", (int)len, value.data);
    } else {
        buffer_append_text(&text, "not UTF-8: it takes ");
    }
    request_input_append_wanted(&text, field);
    err_set(err, ERR_INPUT, "%s: %s is %s", what, path, text.data);
    buffer_free(&text);
    return false;
}

/* Undeclared names are skipped. */
static bool request_input_read_texts(const char *what, const struct script_part *part,
                                     const struct script_pair *pairs, size_t count, bool any_case,
                                     struct arena *arena, const struct extract_value **values,
                                     struct err *err) {
    struct buffer json = {0};
    bool good = true;
    buffer_append_text(&json, "{");
    for (size_t i = 0; i < count && good; i++) {
        const struct extract_field *field;
        const char *path = request_input_path(part, pairs[i].name, any_case, &field);
        good = !path || request_input_put(&json, path, pairs[i].value, field) ||
               request_input_refuse_text(what, path, pairs[i].value, field, err);
    }
    buffer_append_text(&json, "}");
    good = good && request_input_extract(what, part, arena_copy(arena, buffer_slice(&json)), arena,
                                         values, err);
    buffer_free(&json);
    return good;
}

/* ---- the request --------------------------------------------------------------------------- */

bool script_read_inputs(const struct script_route *route, struct script_request *request,
                        struct arena *arena, struct err *err) {
    struct script_inputs *inputs = &request->inputs;
    *inputs = (struct script_inputs){0};
    return script_query_known(route, request->query, request->query_count, err) &&
           (!route->query ||
            request_input_read_texts("Invalid query", route->query, request->query,
                                     request->query_count, false, arena, &inputs->query, err)) &&
           (!route->headers ||
            request_input_read_texts("Invalid headers", route->headers, request->headers,
                                     request->header_count, true, arena, &inputs->headers, err)) &&
           (!route->body || !route->body->part.plan ||
            request_input_extract("Invalid body", &route->body->part, request->body, arena,
                                  &inputs->body, err));
}
