/* request_input: checks the query, the headers and the body of a request by its route's
 * declaration. Query and headers become a JSON object, so that one plan of fields reads all three.
 */
#include <stdio.h>
#include <strings.h>

#include "base/json_put.h"
#include "base/json_scan.h"
#include "base/nearest.h"
#include "base/timestamp.h"
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
                                        [FIELD_TIMESTAMP] = TIMESTAMP_WANTED,
                                        [FIELD_DATE] = DATE_WANTED,
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

/* A part of a request under check. */
struct request_input {
    const char *name; /* "query" */
    const struct script_part *part;
    struct script_inputs *inputs;
    struct err *err;
};

/* Always false. */
static bool request_input_refuse(const struct request_input *input, const char *path) {
    input->inputs->refused_part = input->name;
    input->inputs->refused_path = path;
    return false;
}

/* The field whose path the text begins with, and that path. */
static const struct extract_field *request_input_find(const struct script_part *part,
                                                      const char *text, const char **path) {
    size_t len = strcspn(text, " ");
    for (size_t i = 0; i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            *path = part->fields[i].paths[p];
            if (slice_equal(slice_of(*path), (struct slice){text, len})) {
                return &part->fields[i];
            }
        }
    }
    *path = NULL;
    return NULL;
}

/* Makes "Invalid query: limit is 0: it takes a whole number from 1 to 100" of "out_of_range: limit
 * is 0". Always false. */
static bool request_input_explain(const struct request_input *input) {
    struct buffer text = {0};
    const char *path, *colon = strstr(input->err->text, ": ");
    const char *sentence = colon ? colon + 2 : input->err->text;
    const struct extract_field *field = request_input_find(input->part, sentence, &path);
    buffer_append_format(&text, "Invalid %s: %s", input->name, sentence);
    if (field) {
        buffer_append_text(&text, ": it takes ");
        request_input_append_wanted(&text, field);
    }
    err_set(input->err, ERR_INPUT, "%s", text.data);
    buffer_free(&text);
    return request_input_refuse(input, path);
}

static bool request_input_extract(const struct request_input *input, struct slice document,
                                  struct arena *arena, const struct extract_value **values) {
    const struct script_part *part = input->part;
    struct extract_value *read = arena_alloc(arena, (part->field_count + 1) * sizeof *read);
    *values = read;
    return extract_run(part->plan, document, arena, read, input->err) ||
           request_input_explain(input);
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

static bool request_input_refuse_text(const struct request_input *input, const char *path,
                                      struct slice value, const struct extract_field *field) {
    struct buffer text = {0};
    if (request_input_is_utf8(value)) {
        size_t len = utf8_cut(value.data, value.len, SHOWN_BYTES);
        buffer_append_format(&text, "\"%.*s\": it takes ", (int)len, value.data);
    } else {
        buffer_append_text(&text, "not UTF-8: it takes ");
    }
    request_input_append_wanted(&text, field);
    err_set(input->err, ERR_INPUT, "Invalid %s: %s is %s", input->name, path, text.data);
    buffer_free(&text);
    return request_input_refuse(input, path);
}

/* Undeclared names are skipped. */
static bool request_input_read_texts(const struct request_input *input,
                                     const struct script_pair *pairs, size_t count, bool any_case,
                                     struct arena *arena, const struct extract_value **values) {
    struct buffer json = {0};
    bool good = true;
    buffer_append_text(&json, "{");
    for (size_t i = 0; i < count && good; i++) {
        const struct extract_field *field;
        const char *path = request_input_path(input->part, pairs[i].name, any_case, &field);
        good = !path || request_input_put(&json, path, pairs[i].value, field) ||
               request_input_refuse_text(input, path, pairs[i].value, field);
    }
    buffer_append_text(&json, "}");
    good =
        good && request_input_extract(input, arena_copy(arena, buffer_slice(&json)), arena, values);
    buffer_free(&json);
    return good;
}

/* ---- the request --------------------------------------------------------------------------- */

static bool request_input_read_query(const struct script_part *part, struct script_request *request,
                                     struct arena *arena, struct err *err) {
    const struct request_input input = {"query", part, &request->inputs, err};
    return !part || request_input_read_texts(&input, request->query, request->query_count, false,
                                             arena, &request->inputs.query);
}

static bool request_input_read_headers(const struct script_part *part,
                                       struct script_request *request, struct arena *arena,
                                       struct err *err) {
    const struct request_input input = {"headers", part, &request->inputs, err};
    return !part || request_input_read_texts(&input, request->headers, request->header_count, true,
                                             arena, &request->inputs.headers);
}

static bool request_input_read_body(const struct script_body *body, struct script_request *request,
                                    struct arena *arena, struct err *err) {
    if (!body || !body->part.plan) {
        return true;
    }
    const struct request_input input = {"body", &body->part, &request->inputs, err};
    if (request->body.len == 0) {
        err_set(err, ERR_INPUT, "Invalid body: it is empty: send a JSON object");
        return request_input_refuse(&input, NULL);
    }
    return request_input_extract(&input, request->body, arena, &request->inputs.body) &&
           (body->ignores_unknown || request_unknown_none(&body->part, request->body, err) ||
            request_input_refuse(&input, NULL));
}

bool script_read_inputs(const struct script_route *route, struct script_request *request,
                        struct arena *arena, struct err *err) {
    request->inputs = (struct script_inputs){.refused_part = "query"};
    return script_query_known(route, request->query, request->query_count, err) &&
           request_input_read_query(route->query, request, arena, err) &&
           request_input_read_headers(route->headers, request, arena, err) &&
           request_input_read_body(route->body, request, arena, err);
}
