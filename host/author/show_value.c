/* show_value: fields of events and columns of the view as JSON values. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json_put.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "view/literal.h"
#include "show.h"

static void show_value_append_number(struct buffer *out, double number) {
    char text[NUMBER_TEXT_CAP];
    buffer_append_text(out, number_format(number, text));
}

static void show_value_append_time(struct buffer *out, int64_t unix_us) {
    char text[TIMESTAMP_TEXT_CAP];
    buffer_append_json_string(out, (struct slice){text, timestamp_format(unix_us, text)});
}

static void show_value_append_date(struct buffer *out, int64_t unix_days) {
    char text[DATE_TEXT_LEN + 1];
    date_format(unix_days, text);
    buffer_append_json_string(out, slice_of(text));
}

static void show_value_append_uuid(struct buffer *out, const uint8_t *uuid) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(uuid, text);
    buffer_append_json_string(out, (struct slice){text, UUID_TEXT_LEN});
}

static void show_value_append_bool(struct buffer *out, bool value) {
    buffer_append_text(out, value ? "true" : "false");
}

/* ---- fields -------------------------------------------------------------------------------- */

static void show_value_append_strings(struct buffer *out, const struct extract_value *value) {
    buffer_append_text(out, "[");
    for (size_t i = 0; i < value->as.strings.count; i++) {
        json_put_text(out, NULL, value->as.strings.items[i]);
    }
    buffer_append_text(out, "]");
}

static void show_value_append_list(struct buffer *out, const struct extract_field *field,
                                   const struct extract_value *value) {
    buffer_append_text(out, "[");
    for (size_t row = 0; row < value->as.list.rows; row++) {
        const struct extract_value *cells = value->as.list.cells + row * field->element_count;
        json_open(out, NULL, "{");
        for (size_t i = 0; i < field->element_count; i++) {
            if (!field->element[i].check_only) {
                json_put_name(out, field->element[i].name);
                show_field_value(out, &field->element[i], &cells[i]);
            }
        }
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}

void show_field_value(struct buffer *out, const struct extract_field *field,
                      const struct extract_value *value) {
    if (!value->present) {
        buffer_append_text(out, "null");
        return;
    }
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_JSON:
        buffer_append_json_string(out, value->as.text);
        break;
    case FIELD_INTEGER:
    case FIELD_BIGINT:
        buffer_append_format(out, "%" PRId64, value->as.integer);
        break;
    case FIELD_DATE:
        show_value_append_date(out, value->as.integer);
        break;
    case FIELD_TIMESTAMP:
        show_value_append_time(out, value->as.integer);
        break;
    case FIELD_NUMBER:
        show_value_append_number(out, value->as.number);
        break;
    case FIELD_BOOLEAN:
        show_value_append_bool(out, value->as.integer != 0);
        break;
    case FIELD_OBJECT:
        show_value_append_bool(out, true);
        break;
    case FIELD_UUID:
        show_value_append_uuid(out, value->as.uuid);
        break;
    case FIELD_STRINGS:
        show_value_append_strings(out, value);
        break;
    case FIELD_LIST:
        show_value_append_list(out, field, value);
        break;
    }
}

/* ---- columns ------------------------------------------------------------------------------- */

/* Appends the quoted item that begins after the quote at `at` - 1; returns where it ends. */
static const char *show_value_append_item(struct buffer *out, const char *at, const char *end,
                                          bool numbers) {
    struct buffer item = {0};
    for (; at < end && *at != '"'; at++) {
        at += *at == '\\';
        buffer_append(&item, at, 1);
    }
    int64_t whole;
    if (numbers && number_parse_int64(buffer_slice(&item), &whole)) {
        buffer_append_format(out, "%" PRId64, whole);
    } else if (numbers) {
        show_value_append_number(out, strtod(item.data ? item.data : "0", NULL));
    } else {
        buffer_append_json_string(out, buffer_slice(&item));
    }
    buffer_free(&item);
    return at + 1;
}

/* A literal as view_object.c writes it: {"a","b \"c\"",NULL}. */
static void show_value_append_literal(struct buffer *out, struct slice literal, bool numbers) {
    const char *at = literal.data + 1, *end = literal.data + literal.len - 1;
    buffer_append_text(out, "[");
    while (at < end) {
        if (*at == '"') {
            at = show_value_append_item(out, at + 1, end, numbers);
        } else {
            buffer_append_text(out, "null");
            at += sizeof "NULL" - 1;
        }
        if (at < end) {
            buffer_append_text(out, ",");
            at++;
        }
    }
    buffer_append_text(out, "]");
}

void show_column_value(struct buffer *out, enum view_type type, const struct view_value *value) {
    if (value->is_null) {
        buffer_append_text(out, "null");
        return;
    }
    switch (type) {
    case VIEW_TEXTS:
    case VIEW_DATES:
    case VIEW_UUIDS:
        show_value_append_literal(out, value->as.text, false);
        break;
    case VIEW_SOURCES:
        buffer_append_format(out, "%zu", literal_count(value->as.text));
        break;
    case VIEW_INTEGERS:
    case VIEW_BIGINTS:
    case VIEW_DOUBLES:
        show_value_append_literal(out, value->as.text, true);
        break;
    case VIEW_INTEGER:
    case VIEW_BIGINT:
        buffer_append_format(out, "%" PRId64, value->as.integer);
        break;
    case VIEW_DATE:
        show_value_append_date(out, value->as.integer);
        break;
    case VIEW_DOUBLE:
        show_value_append_number(out, value->as.number);
        break;
    case VIEW_BOOLEAN:
        show_value_append_bool(out, value->as.integer != 0);
        break;
    case VIEW_TIMESTAMP:
        show_value_append_time(out, value->as.integer);
        break;
    case VIEW_UUID:
    case VIEW_CONTENT:
        show_value_append_uuid(out, (const uint8_t *)value->as.text.data);
        break;
    case VIEW_TEXT:
    case VIEW_JSON:
    case VIEW_ENUM:
        buffer_append_json_string(out, value->as.text);
        break;
    }
}
