#include "json_scan.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "ascii.h"
#include "hex.h"
#include "utf8.h"
#include "xalloc.h"

static bool json_scan_fail(struct json_cursor *cursor, const char *error) {
    if (!cursor->error) {
        cursor->error = error;
    }
    return false;
}

static void json_scan_skip_space(struct json_cursor *cursor) {
    while (cursor->at < cursor->end && json_is_space(*cursor->at)) {
        cursor->at++;
    }
}

void json_begin(struct json_cursor *cursor, struct slice text) {
    *cursor =
        (struct json_cursor){.at = text.data, .end = text.data + text.len, .start = text.data};
    json_scan_skip_space(cursor);
}

size_t json_offset(const struct json_cursor *cursor) {
    return (size_t)(cursor->at - cursor->start);
}

bool json_peek(struct json_cursor *cursor, enum json_type *type) {
    if (cursor->error) {
        return false;
    }
    if (cursor->at == cursor->end) {
        return json_scan_fail(cursor, "the text ends where a value should be");
    }
    switch (*cursor->at) {
    case '{':
        *type = JSON_OBJECT;
        return true;
    case '[':
        *type = JSON_ARRAY;
        return true;
    case '"':
        *type = JSON_STRING;
        return true;
    case 't':
    case 'f':
        *type = JSON_BOOL;
        return true;
    case 'n':
        *type = JSON_NULL;
        return true;
    default:
        *type = JSON_NUMBER;
        return *cursor->at == '-' || (*cursor->at >= '0' && *cursor->at <= '9')
                   ? true
                   : json_scan_fail(cursor, "a value cannot begin like this");
    }
}

/* ---- scalars ------------------------------------------------------------------------------ */

static bool json_scan_read_word(struct json_cursor *cursor, const char *word,
                                struct json_value *value) {
    size_t len = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < len || memcmp(cursor->at, word, len) != 0) {
        return json_scan_fail(cursor, "a value cannot begin like this");
    }
    value->raw = (struct slice){cursor->at, len};
    value->boolean = *word == 't';
    cursor->at += len;
    return true;
}

static bool json_scan_take_digits(struct json_cursor *cursor) {
    const char *first = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        cursor->at++;
    }
    return cursor->at > first || json_scan_fail(cursor, "a digit is missing in a number");
}

static bool json_scan_take(struct json_cursor *cursor, char c) {
    if (cursor->at < cursor->end && *cursor->at == c) {
        cursor->at++;
        return true;
    }
    return false;
}

static bool json_scan_read_number(struct json_cursor *cursor, struct json_value *value) {
    const char *first = cursor->at;
    value->is_integer = true;
    json_scan_take(cursor, '-');
    if (!json_scan_take(cursor, '0') && !json_scan_take_digits(cursor)) {
        return false;
    }
    if (json_scan_take(cursor, '.')) {
        value->is_integer = false;
        if (!json_scan_take_digits(cursor)) {
            return false;
        }
    }
    if (json_scan_take(cursor, 'e') || json_scan_take(cursor, 'E')) {
        value->is_integer = false;
        if (!json_scan_take(cursor, '+')) {
            json_scan_take(cursor, '-');
        }
        if (!json_scan_take_digits(cursor)) {
            return false;
        }
    }
    value->raw = (struct slice){first, (size_t)(cursor->at - first)};
    return true;
}

/* The value of four hexadecimal digits at `at`, or -1. */
static int json_scan_read_unit(const char *at, const char *end) {
    int high = end - at < 4 ? -1 : hex_byte(at);
    int low = high < 0 ? -1 : hex_byte(at + 2);
    return low < 0 ? -1 : high << 8 | low;
}

/* Length of the escape at the cursor; 0 after json_scan_fail. */
static size_t json_scan_escape_length(struct json_cursor *cursor) {
    const char *at = cursor->at, *end = cursor->end;
    if (at + 1 >= end) {
        json_scan_fail(cursor, "the text ends within a string");
        return 0;
    }
    if (at[1] != 'u') {
        bool known = at[1] && strchr("\"\\/bfnrt", at[1]);
        return known || json_scan_fail(cursor, "an unknown escape in a string") ? 2 : 0;
    }
    int unit = json_scan_read_unit(at + 2, end);
    if (unit < 0) {
        json_scan_fail(cursor, "a bad \\u escape in a string");
        return 0;
    }
    if (unit < 0xD800 || unit > 0xDFFF) {
        return 6;
    }
    bool has_second = end - at >= 12 && at[6] == '\\' && at[7] == 'u';
    int low = unit <= 0xDBFF && has_second ? json_scan_read_unit(at + 8, end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        json_scan_fail(cursor, "a lone surrogate in a string");
        return 0;
    }
    return 12;
}

static bool json_scan_read_string(struct json_cursor *cursor, struct json_value *value) {
    const char *first = ++cursor->at;
    value->has_escapes = false;
    for (;;) {
        cursor->at += ascii_json_run(cursor->at, (size_t)(cursor->end - cursor->at));
        if (cursor->at == cursor->end) {
            return json_scan_fail(cursor, "the text ends within a string");
        }
        unsigned char c = (unsigned char)*cursor->at;
        if (c == '"') {
            value->raw = (struct slice){first, (size_t)(cursor->at - first)};
            cursor->at++;
            return true;
        }
        if (c == '\\') {
            size_t len = json_scan_escape_length(cursor);
            if (len == 0) {
                return false;
            }
            value->has_escapes = true;
            cursor->at += len;
        } else if (c < 0x20) {
            return json_scan_fail(cursor, "a control character in a string");
        } else {
            size_t len = utf8_sequence(cursor->at, (size_t)(cursor->end - cursor->at));
            if (len == 0) {
                return json_scan_fail(cursor, JSON_BAD_UTF8);
            }
            cursor->at += len;
        }
    }
}

/* ---- containers --------------------------------------------------------------------------- */

bool json_enter(struct json_cursor *cursor) {
    if (cursor->error) {
        return false;
    }
    if (++cursor->depth > JSON_MAX_DEPTH) {
        return json_scan_fail(cursor, JSON_TOO_DEEP);
    }
    cursor->at++;
    cursor->fresh = true;
    json_scan_skip_space(cursor);
    return true;
}

/* Consumes the comma before a further item, or the closing bracket. */
static bool json_scan_next_item(struct json_cursor *cursor, char closing, bool *more) {
    json_scan_skip_space(cursor);
    bool first = cursor->fresh;
    cursor->fresh = false;
    if (json_scan_take(cursor, closing)) {
        cursor->depth--;
        *more = false;
        return true;
    }
    if (!first && !json_scan_take(cursor, ',')) {
        return json_scan_fail(cursor, cursor->at == cursor->end
                                          ? "the text ends within a container"
                                          : "a comma or a bracket is missing");
    }
    json_scan_skip_space(cursor);
    *more = true;
    return true;
}

bool json_next_element(struct json_cursor *cursor, bool *more) {
    return !cursor->error && json_scan_next_item(cursor, ']', more);
}

bool json_next_member(struct json_cursor *cursor, struct json_value *key, bool *more) {
    if (cursor->error || !json_scan_next_item(cursor, '}', more)) {
        return false;
    }
    if (!*more) {
        return true;
    }
    if (cursor->at == cursor->end || *cursor->at != '"') {
        return json_scan_fail(cursor, "a key must be a string");
    }
    key->type = JSON_STRING;
    if (!json_scan_read_string(cursor, key)) {
        return false;
    }
    json_scan_skip_space(cursor);
    if (!json_scan_take(cursor, ':')) {
        return json_scan_fail(cursor, "a colon is missing after a key");
    }
    json_scan_skip_space(cursor);
    return true;
}

static bool json_scan_skip_container(struct json_cursor *cursor, struct json_value *value) {
    const char *first = cursor->at;
    struct json_value inner;
    bool is_object = value->type == JSON_OBJECT, more = false;
    if (!json_enter(cursor)) {
        return false;
    }
    for (;;) {
        bool ok =
            is_object ? json_next_member(cursor, &inner, &more) : json_next_element(cursor, &more);
        if (!ok) {
            return false;
        }
        if (!more) {
            value->raw = (struct slice){first, (size_t)(cursor->at - first)};
            return true;
        }
        if (!json_read(cursor, &inner)) { /* recursion is bounded by JSON_MAX_DEPTH */
            return false;
        }
    }
}

bool json_read(struct json_cursor *cursor, struct json_value *value) {
    if (!json_peek(cursor, &value->type)) {
        return false;
    }
    switch (value->type) {
    case JSON_NULL:
        return json_scan_read_word(cursor, "null", value);
    case JSON_BOOL:
        return json_scan_read_word(cursor, *cursor->at == 't' ? "true" : "false", value);
    case JSON_NUMBER:
        return json_scan_read_number(cursor, value);
    case JSON_STRING:
        return json_scan_read_string(cursor, value);
    default:
        return json_scan_skip_container(cursor, value);
    }
}

bool json_finish(struct json_cursor *cursor) {
    if (cursor->error) {
        return false;
    }
    json_scan_skip_space(cursor);
    return cursor->at == cursor->end || json_scan_fail(cursor, "something follows the value");
}

/* ---- conversion --------------------------------------------------------------------------- */

static size_t json_scan_write_utf8(unsigned code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

static const char *json_scan_unescape_one(const char *at, const char *end, char *out, size_t *len) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = at[1];
    if (c != 'u') {
        const char *known = strchr(from, c);
        out[(*len)++] = known ? to[known - from] : c;
        return at + 2;
    }
    unsigned code = (unsigned)json_scan_read_unit(at + 2, end);
    at += 6;
    if (code >= 0xD800 && code <= 0xDBFF) {
        code = 0x10000 + ((code - 0xD800) << 10) +
               ((unsigned)json_scan_read_unit(at + 2, end) - 0xDC00);
        at += 6;
    }
    *len += json_scan_write_utf8(code, out + *len);
    return at;
}

size_t json_unescape(const struct json_value *value, char *out) {
    const char *at = value->raw.data, *end = at + value->raw.len;
    size_t len = 0;
    while (at < end) {
        if (*at == '\\') {
            at = json_scan_unescape_one(at, end, out, &len);
        } else {
            out[len++] = *at++;
        }
    }
    return len;
}

/* Reads an integer of at most 15 digits, which int64 and double hold exactly. */
static bool json_scan_read_small(const struct json_value *value, int64_t *magnitude) {
    const char *at = value->raw.data, *end = at + value->raw.len;
    if (!value->is_integer || end - at > 15) {
        return false;
    }
    *magnitude = 0;
    for (at += *at == '-'; at < end; at++) {
        *magnitude = *magnitude * 10 + (*at - '0');
    }
    return true;
}

/* Reads up to 15 digits with a point: their integer and its power of ten are exact, so that one
 * division rounds as strtod does (Clinger, "How to read floating point numbers accurately"). */
static bool json_scan_read_decimal(const struct json_value *value, double *out) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = value->raw.data, *end = at + value->raw.len, *point = NULL;
    bool negative = *at == '-';
    int64_t digits = 0;
    at += negative;
    if (FLT_EVAL_METHOD != 0 || end - at > 16) {
        return false;
    }
    for (; at < end; at++) {
        if (*at == '.') {
            point = at;
        } else if (*at >= '0' && *at <= '9') {
            digits = digits * 10 + (*at - '0');
        } else {
            return false; /* an exponent */
        }
    }
    if (!point) {
        return false;
    }
    double magnitude = (double)digits / powers[end - point - 1];
    *out = negative ? -magnitude : magnitude; /* also of 0 */
    return true;
}

bool json_to_int64(const struct json_value *value, int64_t *out) {
    char text[32];
    int64_t magnitude;
    if (value->type == JSON_NUMBER && json_scan_read_small(value, &magnitude)) {
        *out = *value->raw.data == '-' ? -magnitude : magnitude;
        return true;
    }
    if (value->type != JSON_NUMBER || !value->is_integer || value->raw.len >= sizeof text) {
        return false;
    }
    memcpy(text, value->raw.data, value->raw.len);
    text[value->raw.len] = '\0';
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0;
}

bool json_to_double(const struct json_value *value, double *out) {
    char small[64];
    int64_t magnitude;
    if (value->type != JSON_NUMBER) {
        return false;
    }
    if (json_scan_read_small(value, &magnitude)) {
        *out = *value->raw.data == '-' ? -(double)magnitude : (double)magnitude;
        return true;
    }
    if (json_scan_read_decimal(value, out)) {
        return true;
    }
    size_t len = value->raw.len;
    char *text = len < sizeof small ? small : xcalloc(1, len + 1);
    memcpy(text, value->raw.data, len);
    text[len] = '\0';
    *out = strtod(text, NULL);
    if (text != small) {
        free(text);
    }
    return isfinite(*out);
}
