/* json_fast: the usual forms of JSON, inline. Each function consumes its form and returns true, or
 * consumes nothing: then json_scan reads what stands there, or finds the error. */
#pragma once

#include "ascii.h"
#include "json_scan.h"

/* Consumes at most one space, as most writers leave. */
static inline const char *json_fast_skip_space(const char *at, const char *end) {
    return at + (at < end && *at == ' ');
}

/* The end of a string of ASCII without escapes that begins at `first`, after the quote; NULL: it is
 * none. */
static inline const char *json_fast_string_end(const char *first, const char *end) {
    const char *last = first + ascii_json_run(first, (size_t)(end - first));
    return last < end && *last == '"' ? last : NULL;
}

/* A string of ASCII without escapes. */
static inline bool json_take_string(struct json_cursor *cursor, struct json_value *value) {
    const char *first = cursor->at + 1, *end = cursor->end;
    if (first > end || first[-1] != '"') {
        return false;
    }
    const char *last = json_fast_string_end(first, end);
    if (!last) {
        return false;
    }
    value->type = JSON_STRING;
    value->raw = (struct slice){first, (size_t)(last - first)};
    value->has_escapes = false;
    cursor->at = last + 1;
    return true;
}

/* The place after the separator of a further item; NULL: none is there. */
static inline const char *json_fast_separator(const struct json_cursor *cursor) {
    const char *at = cursor->at, *end = cursor->end;
    if (cursor->fresh) {
        return at;
    }
    return at < end && *at == ',' ? json_fast_skip_space(at + 1, end) : NULL;
}

/* Separator, key and colon of a further member; the key is ASCII without escapes. `expected`: such
 * a key in quotes and a colon, padded for ascii_starts_with, or absent. *key is absent if it is
 * that one. */
static inline bool json_take_key(struct json_cursor *cursor, struct slice expected,
                                 struct slice *key) {
    const char *end = cursor->end, *at = json_fast_separator(cursor);
    if (!at) {
        return false;
    }
    if (expected.data && ascii_starts_with(at, (size_t)(end - at), expected.data, expected.len)) {
        *key = (struct slice){0};
        at += expected.len;
    } else {
        const char *last = at < end && *at == '"' ? json_fast_string_end(at + 1, end) : NULL;
        if (!last || last + 1 == end || last[1] != ':') {
            return false;
        }
        *key = (struct slice){at + 1, (size_t)(last - at - 1)};
        at = last + 2;
    }
    at = json_fast_skip_space(at, end);
    if (at == end || json_is_space(*at)) {
        return false;
    }
    cursor->fresh = false;
    cursor->at = at;
    return true;
}
