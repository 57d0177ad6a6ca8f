#include "record.h"

#include "../../host/json_scan.h"

struct members {
    struct json_value topic, key, value, raw, partition, offset;
    bool has_value;
};

static void set_member(struct members *members, struct slice name, const struct json_value *value) {
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
        }
    }
}

static bool read_members(const char *line, struct members *members) {
    struct json_cursor cursor;
    struct json_value name, value;
    bool more;
    json_begin(&cursor, slice_of(line));
    if (!json_enter(&cursor)) {
        return false;
    }
    while (json_next_member(&cursor, &name, &more) && more && json_read(&cursor, &value)) {
        set_member(members, name.raw, &value);
    }
    return json_finish(&cursor) && members->topic.type == JSON_STRING;
}

/* Never longer than the text, behind which it stays: out may be text.data. */
static size_t decode_base64(struct slice text, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, held = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, text.data[i], 64);
        if (!digit) {
            continue;
        }
        bits = bits << 6 | (unsigned)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[len++] = (char)(bits >> held);
        }
    }
    return len;
}

static struct slice payload_of(const struct members *members, char *line) {
    if (members->has_value) {
        struct slice raw = members->value.raw;
        return members->value.type == JSON_STRING ? (struct slice){raw.data - 1, raw.len + 2} : raw;
    }
    if (members->raw.type == JSON_STRING) {
        char *out = line + (members->raw.raw.data - line);
        return (struct slice){out, decode_base64(members->raw.raw, out)};
    }
    return (struct slice){0};
}

bool record_read(char *line, struct record *record) {
    struct members members = {0};
    *record = (struct record){0};
    if (!read_members(line, &members)) {
        return false;
    }
    bool placed =
        (!members.partition.raw.data || json_to_int64(&members.partition, &record->partition)) &&
        (!members.offset.raw.data || json_to_int64(&members.offset, &record->offset));
    if (members.key.type == JSON_STRING) {
        record->key = members.key.raw;
    }
    record->payload = payload_of(&members, line);
    record->topic = members.topic.raw.data;
    line[members.topic.raw.data - line + (ptrdiff_t)members.topic.raw.len] = '\0';
    return placed;
}
