#include "record.h"

#include "base/json_put.h"
#include "base/json_scan.h"
#include "script/script.h"

struct members {
    struct json_value topic, key, value, raw, partition, offset;
    bool has_value, has_raw;
    const struct extract_field *envelope; /* NULL: none */
    size_t envelope_count;
    bool is_envelope; /* has a member that a field of the envelope is in */
};

static void record_set_member(struct members *members, struct slice name,
                              const struct json_value *value) {
    const struct {
        const char *name;
        struct json_value *to;
    } known[] = {
        {"topic", &members->topic},         {"key", &members->key},
        {"value", &members->value},         {"raw_b64", &members->raw},
        {"partition", &members->partition}, {"offset", &members->offset},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (slice_equal(name, slice_of(known[i].name))) {
            *known[i].to = *value;
            members->has_value |= known[i].to == &members->value;
            members->has_raw |= known[i].to == &members->raw;
        }
    }
    for (size_t i = 0; i < members->envelope_count; i++) {
        const char *path = members->envelope[i].paths[0];
        members->is_envelope |= slice_equal(name, (struct slice){path, strcspn(path, ".")});
    }
}

static bool record_read_members(struct json_cursor *cursor, struct members *members) {
    struct json_value name, value;
    bool more;
    if (!json_enter(cursor)) {
        return false;
    }
    while (json_next_member(cursor, &name, &more) && more && json_read(cursor, &value)) {
        record_set_member(members, name.raw, &value);
    }
    return json_finish(cursor);
}

/* RFC 4648, section 4. */
static const char record_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* `out` may be text.data: the result never overtakes the text. JSON may write a slash as "\/".
 * False: no base64 of whole groups. */
static bool record_decode_base64(struct slice text, char *out, size_t *len) {
    unsigned bits = 0, held = 0;
    size_t count = 0, padding = 0;
    *len = 0;
    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=') {
        padding++;
    }
    for (size_t i = 0; i < text.len - padding; i++) {
        if (text.data[i] == '\\' && i + 1 < text.len && text.data[i + 1] == '/') {
            continue;
        }
        const char *digit = memchr(record_digits, text.data[i], 64);
        if (!digit) {
            return false;
        }
        count++;
        bits = bits << 6 | (unsigned)(digit - record_digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[(*len)++] = (char)(bits >> held);
        }
    }
    return (count + padding) % 4 == 0;
}

static bool record_take_payload(const struct members *members, char *line, struct slice *payload) {
    if (members->has_value) {
        struct slice raw = members->value.raw;
        *payload =
            members->value.type == JSON_STRING ? (struct slice){raw.data - 1, raw.len + 2} : raw;
        return true;
    }
    if (members->raw.type == JSON_STRING) {
        char *out = line + (members->raw.raw.data - line);
        payload->data = out;
        return record_decode_base64(members->raw.raw, out, &payload->len);
    }
    return !members->has_raw || members->raw.type == JSON_NULL;
}

static bool record_take_members(const struct members *members, char *text, struct record *record,
                                struct err *err) {
    bool placed =
        (!members->partition.raw.data || json_to_int64(&members->partition, &record->partition)) &&
        (!members->offset.raw.data || json_to_int64(&members->offset, &record->offset));
    if (members->key.type == JSON_STRING) {
        record->key = members->key.raw;
    }
    if (members->topic.type == JSON_STRING) {
        record->topic = members->topic.raw.data;
        text[members->topic.raw.data - text + (ptrdiff_t)members->topic.raw.len] = '\0';
    }
    if (!record_take_payload(members, text, &record->payload)) {
        return err_set(err, ERR_INPUT, "raw_b64 takes base64 in whole groups of four, or null");
    }
    return placed || err_set(err, ERR_INPUT, "partition and offset are whole numbers");
}

bool record_read(char *text, struct record *record) {
    struct members members = {0};
    struct json_cursor cursor;
    struct err err = {0};
    *record = (struct record){0};
    json_begin(&cursor, slice_of(text));
    return record_read_members(&cursor, &members) && members.topic.type == JSON_STRING &&
           record_take_members(&members, text, record, &err);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void record_append_base64(struct buffer *out, struct slice bytes) {
    buffer_append_text(out, "\"");
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned bits = (unsigned)(uint8_t)bytes.data[i] << 16;
        bits |= left > 1 ? (unsigned)(uint8_t)bytes.data[i + 1] << 8 : 0;
        bits |= left > 2 ? (unsigned)(uint8_t)bytes.data[i + 2] : 0;
        char group[4] = {record_digits[bits >> 18], record_digits[bits >> 12 & 63],
                         left > 1 ? record_digits[bits >> 6 & 63] : '=',
                         left > 2 ? record_digits[bits & 63] : '='};
        buffer_append(out, group, sizeof group);
    }
    buffer_append_text(out, "\"");
}

static bool record_is_json_line(struct slice text) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, text);
    return text.len > 0 && !memchr(text.data, '\n', text.len) && !json_is_space(text.data[0]) &&
           !json_is_space(text.data[text.len - 1]) && json_read(&cursor, &value) &&
           json_finish(&cursor);
}

void record_append(struct buffer *line, const struct record *record) {
    buffer_append_text(line, "{");
    json_put_text(line, "topic", slice_of(record->topic));
    json_put_int(line, "partition", record->partition);
    json_put_int(line, "offset", record->offset);
    json_put_text(line, "key", record->key);
    if (record->payload.data && record_is_json_line(record->payload)) {
        json_put_name(line, "value");
        buffer_append(line, record->payload.data, record->payload.len);
    } else if (record->payload.data) {
        json_put_name(line, "raw_b64");
        record_append_base64(line, record->payload);
    } else {
        json_put_text(line, "raw_b64", (struct slice){0});
    }
    buffer_append_text(line, "}\n");
}

/* ---- records or envelopes ------------------------------------------------------------------ */

static bool record_refuse(const struct json_cursor *cursor, size_t *at, struct err *err) {
    *at = json_offset(cursor);
    return err_set(err, ERR_INPUT, "not JSON: %s", cursor->error ? cursor->error : "no value");
}

static bool record_read_object(struct json_cursor *cursor, struct members *members, size_t *at,
                               struct err *err) {
    enum json_type type;
    struct json_value value;
    if (!json_peek(cursor, &type)) {
        return record_refuse(cursor, at, err);
    }
    if (type == JSON_OBJECT) {
        return record_read_members(cursor, members) || record_refuse(cursor, at, err);
    }
    *at = json_offset(cursor);
    return json_read(cursor, &value) && json_finish(cursor)
               ? err_set(err, ERR_INPUT, "an event is a JSON object, not %s",
                         type == JSON_ARRAY ? "a list" : "a scalar")
               : record_refuse(cursor, at, err);
}

bool record_read_event(const struct script_generation *generation, char *text,
                       struct record *record, size_t *at, struct err *err) {
    struct members members = {0};
    members.envelope = script_generation_envelope(generation, &members.envelope_count);
    struct json_cursor cursor;
    struct slice whole = slice_of(text);
    *record = (struct record){0};
    json_begin(&cursor, whole);
    if (!record_read_object(&cursor, &members, at, err)) {
        return false;
    }
    *at = 0;
    bool has_payload = members.has_value || members.has_raw;
    if (members.is_envelope && (!has_payload || members.topic.type != JSON_STRING)) {
        record->payload = whole;
        return true;
    }
    if (!has_payload) {
        return err_set(err, ERR_INPUT,
                       "neither a record (topic, and value or raw_b64) nor an envelope "
                       "(the fields of envelope.lua)");
    }
    return record_take_members(&members, text, record, err);
}
