/* json_scan: strict JSON (RFC 8259) pull parser over borrowed bytes. Checks the grammar, UTF-8,
 * surrogate escapes, the depth and the end of the text in one pass. Allocates only for numbers of
 * 64 and more bytes. */
#pragma once

#include <stdint.h>

#include "slice.h"

#define JSON_MAX_DEPTH 64

/* Errors that callers distinguish by text. */
#define JSON_BAD_UTF8 "bytes that are not UTF-8"
#define JSON_TOO_DEEP "containers nested too deep"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_cursor {
    const char *at;
    const char *end;
    const char *start;
    int depth;
    bool fresh;        /* the bracket before it opens a container */
    const char *error; /* static; NULL: none */
};

struct json_value {
    struct slice raw; /* its bytes; of a string without the quotes, with escapes */
    enum json_type type;
    bool has_escapes; /* string */
    bool is_integer;  /* number without fraction or exponent */
    bool boolean;
};

/* White space (RFC 8259, section 2). */
static inline bool json_is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

void json_begin(struct json_cursor *cursor, struct slice text);
/* The type of the value at the cursor, which it does not consume; false: syntax error. */
bool json_peek(struct json_cursor *cursor, enum json_type *type);
/* Consumes and validates one whole value. */
bool json_read(struct json_cursor *cursor, struct json_value *value);
/* json_enter consumes the opening bracket. json_next_* consume the separator and, of a member, key
 * and colon; at the closing bracket they consume it and set *more = false. */
bool json_enter(struct json_cursor *cursor);
bool json_next_member(struct json_cursor *cursor, struct json_value *key, bool *more);
bool json_next_element(struct json_cursor *cursor, bool *more);
/* False: more than white space follows the value. */
bool json_finish(struct json_cursor *cursor);
size_t json_offset(const struct json_cursor *cursor);

/* Unescapes a string that json_read returned into out (raw.len bytes); returns the length. */
size_t json_unescape(const struct json_value *value, char *out);
bool json_to_int64(const struct json_value *value, int64_t *out); /* false: fraction or range */
bool json_to_double(const struct json_value *value, double *out); /* false: out of range */
