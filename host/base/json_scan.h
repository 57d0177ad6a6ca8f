/* json_scan: a strict JSON (RFC 8259) reader over borrowed bytes. Whole-document validation in one
 * pass: grammar, UTF-8, no lone surrogate escapes, depth at most JSON_MAX_DEPTH, nothing after the
 * value. No allocation but for numbers of many digits. Consumers are driven by events through the
 * cursor below. */
#ifndef AGG_HOST_BASE_JSON_SCAN_H
#define AGG_HOST_BASE_JSON_SCAN_H

#include <stdint.h>

#include "slice.h"

#define JSON_MAX_DEPTH 64

/* Two errors that callers tell from the other ones, by address or text. */
#define JSON_BAD_UTF8 "bytes that are not UTF-8"
#define JSON_TOO_DEEP "containers nested too deep"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_cursor {
    const char *at;
    const char *end;
    const char *start;
    int depth;
    bool fresh;        /* just behind an opening bracket */
    const char *error; /* static text once something failed */
};

/* One value: for scalars and for skipped containers, `raw` is its exact bytes. */
struct json_value {
    enum json_type type;
    struct slice raw; /* strings: without the quotes, escapes kept */
    bool has_escapes; /* strings */
    bool is_integer;  /* numbers without fraction or exponent */
    bool boolean;
};

/* White space (RFC 8259, section 2). */
static inline bool json_is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

void json_begin(struct json_cursor *cursor, struct slice text);
/* Type of the value at the cursor without consuming it; false on a syntax error. */
bool json_peek(struct json_cursor *cursor, enum json_type *type);
/* Consumes one whole value (containers are validated and skipped). */
bool json_read(struct json_cursor *cursor, struct json_value *value);
/* Containers: enter consumes the bracket; the next calls consume separators and (for members) the
 * key and colon, and set *more = false at the closing bracket, which they consume. */
bool json_enter(struct json_cursor *cursor);
bool json_next_member(struct json_cursor *cursor, struct json_value *key, bool *more);
bool json_next_element(struct json_cursor *cursor, bool *more);
/* Only white space may follow the document. */
bool json_finish(struct json_cursor *cursor);
size_t json_offset(const struct json_cursor *cursor);

/* Unescapes into out (room for value->raw.len bytes); returns the length. The value was validated
 * by the scan. */
size_t json_unescape(const struct json_value *value, char *out);
bool json_to_int64(const struct json_value *value, int64_t *out); /* false: fraction or range */
bool json_to_double(const struct json_value *value, double *out); /* false: out of range */

#endif
