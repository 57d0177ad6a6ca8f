/* slice: borrowed bytes. The function that returns a slice documents its owner. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* NULL means absent; an empty slice has data != NULL */
    size_t len;
};

static inline struct slice slice_of(const char *text) {
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Below, equal to or above 0, in lexicographic order of bytes. */
static inline int slice_compare(struct slice a, struct slice b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter && a.data && b.data ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_contains(struct slice text, struct slice part) {
    return text.data && (part.len == 0 || memmem(text.data, text.len, part.data, part.len));
}
