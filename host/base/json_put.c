#include "json_put.h"

#include <inttypes.h>
#include <string.h>

#include "timestamp.h"
#include "uuid.h"

void json_put_name(struct buffer *json, const char *name) {
    char last = json->len ? json->data[json->len - 1] : '{';
    buffer_append_text(json, last == '{' || last == '[' ? "" : ",");
    if (name) {
        buffer_append_json_string(json, slice_of(name));
        buffer_append_text(json, ":");
    }
}

void json_open(struct buffer *json, const char *name, const char *bracket) {
    json_put_name(json, name);
    buffer_append_text(json, bracket);
}

void json_put_text(struct buffer *json, const char *name, struct slice text) {
    json_put_name(json, name);
    if (text.data) {
        buffer_append_json_string(json, text);
    } else {
        buffer_append_text(json, "null");
    }
}

void json_put_int(struct buffer *json, const char *name, int64_t value) {
    json_put_name(json, name);
    buffer_append_format(json, "%" PRId64, value);
}

void json_put_bool(struct buffer *json, const char *name, bool value) {
    json_put_name(json, name);
    buffer_append_text(json, value ? "true" : "false");
}

void json_put_time(struct buffer *json, const char *name, int64_t unix_us) {
    char text[TIMESTAMP_TEXT_CAP];
    json_put_text(json, name,
                  unix_us > 0 ? (struct slice){text, timestamp_format(unix_us, text)}
                              : (struct slice){0});
}

void json_put_uuid(struct buffer *json, const char *name, const uint8_t *uuid) {
    char text[UUID_TEXT_LEN + 1];
    if (uuid) {
        uuid_format(uuid, text);
    }
    json_put_text(json, name, uuid ? (struct slice){text, UUID_TEXT_LEN} : (struct slice){0});
}

void json_append_compact(struct buffer *json, struct slice text) {
    bool in_string = false;
    for (size_t i = 0, from = 0; text.data && i <= text.len; i++) {
        bool space = i < text.len && !in_string && strchr(" \t\r\n", text.data[i]);
        if (i == text.len || space) {
            buffer_append(json, text.data + from, i - from);
            from = i + 1;
        } else if (text.data[i] == '"') {
            in_string = !in_string;
        } else if (text.data[i] == '\\') {
            i++; /* in a string: the byte after it does not end the string */
        }
    }
}

void json_put_list(struct buffer *json, const char *name, const struct buffer *elements) {
    json_put_name(json, name);
    buffer_append_text(json, "[");
    buffer_append_text(json, elements->data ? elements->data : "");
    buffer_append_text(json, "]");
}
