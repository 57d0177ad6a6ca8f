/* fuzz_json: whatever is accepted is accepted again from its own bytes, unescapes to UTF-8 within
 * its size, and survives being written as a string; whatever is refused is refused within itself.
 * What json_fast takes json_scan takes, too; blocks of bytes are scanned as single bytes are. */
#include "base/buffer.h"
#include "base/json_fast.h"
#include "base/utf8.h"
#include "fuzz.h"

static bool scan(struct slice text, struct json_value *value, size_t *offset) {
    struct json_cursor cursor;
    json_begin(&cursor, text);
    bool ok = json_read(&cursor, value) && json_finish(&cursor);
    *offset = json_offset(&cursor);
    PROMISE(ok == (cursor.error == NULL));
    return ok;
}

static void check_string(const struct json_value *value) {
    char *text = malloc(value->raw.len + 1);
    size_t len = json_unescape(value, text), offset;
    PROMISE(len <= value->raw.len);
    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence(text + i, len - i);
        PROMISE(step > 0);
        i += step;
    }
    struct buffer written = {0};
    struct json_value again = {0};
    buffer_append_json_string(&written, (struct slice){text, len});
    PROMISE(scan(buffer_slice(&written), &again, &offset) && again.type == JSON_STRING);
    char *back = malloc(again.raw.len + 1);
    PROMISE(json_unescape(&again, back) == len && memcmp(back, text, len) == 0);
    free(back);
    free(text);
    buffer_free(&written);
}

static bool next_member(struct json_cursor *cursor, struct json_value *key, bool *more) {
    static const char expected[4 + ASCII_PADDING] = "\"a\":";
    struct json_cursor fast = *cursor, before = *cursor;
    struct slice name;
    bool taken = json_take_key(&fast, (struct slice){expected, 4}, &name);
    bool ok = json_next_member(cursor, key, more);
    if (taken) {
        PROMISE(ok && *more && !key->has_escapes && fast.at == cursor->at);
        PROMISE(fast.fresh == cursor->fresh && fast.depth == cursor->depth);
        PROMISE(slice_equal(key->raw, name.data ? name : slice_of("a")));
    } else {
        PROMISE(fast.at == before.at && fast.fresh == before.fresh);
    }
    return ok;
}

static bool read_value(struct json_cursor *cursor, struct json_value *value) {
    struct json_cursor fast = *cursor, before = *cursor;
    struct json_value string;
    bool taken = json_take_string(&fast, &string), ok = json_read(cursor, value);
    if (taken) {
        PROMISE(ok && value->type == JSON_STRING && slice_equal(value->raw, string.raw));
        PROMISE(!value->has_escapes && fast.at == cursor->at);
    } else {
        PROMISE(fast.at == before.at);
    }
    return ok;
}

static void check_runs(struct slice text) {
    size_t run = 0, plain = 0;
    for (size_t at = 0; at < text.len; at++) {
        if (at >= run) {
            run = at + ascii_json_run(text.data + at, text.len - at);
            for (plain = at; plain < text.len && ascii_is_json((unsigned char)text.data[plain]);) {
                plain++;
            }
            PROMISE(run == plain);
        }
    }
}

/* Walks it by the cursor's other door, to the same end. */
static void walk(struct json_cursor *cursor) {
    struct json_value value;
    enum json_type type;
    bool more = true;
    if (!json_peek(cursor, &type) || (type != JSON_OBJECT && type != JSON_ARRAY)) {
        PROMISE(read_value(cursor, &value));
        if (value.type == JSON_STRING) {
            check_string(&value);
        }
        return;
    }
    PROMISE(json_enter(cursor));
    for (;;) {
        PROMISE(type == JSON_OBJECT ? next_member(cursor, &value, &more)
                                    : json_next_element(cursor, &more));
        if (!more) {
            return;
        }
        if (type == JSON_OBJECT) {
            check_string(&value);
        }
        walk(cursor);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = {(const char *)data, size};
    struct json_value value = {0}, again = {0};
    size_t offset;
    check_runs(text);
    bool ok = scan(text, &value, &offset);
    PROMISE(offset <= size);
    if (!ok) {
        return 0;
    }
    if (value.type != JSON_STRING) {
        PROMISE(scan(value.raw, &again, &offset) && again.type == value.type);
    }
    int64_t integer;
    double number;
    if (json_to_int64(&value, &integer)) {
        PROMISE(json_to_double(&value, &number) && (double)integer == number);
    }
    struct json_cursor cursor;
    json_begin(&cursor, text);
    walk(&cursor);
    PROMISE(json_finish(&cursor));
    return 0;
}
