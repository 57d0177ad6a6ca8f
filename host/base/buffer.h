/* buffer: a growing byte string. Small-allocation failure ends the process (see xalloc.h). */
#pragma once

#include "slice.h"

struct buffer {
    char *data; /* owned; NUL-terminated after every append */
    size_t len;
    size_t cap;
};

void buffer_free(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
/* Reserves room for `bytes` more and returns its start; len does not change. */
char *buffer_reserve(struct buffer *buffer, size_t bytes);
void buffer_append(struct buffer *buffer, const void *data, size_t len);
void buffer_append_slice(struct buffer *buffer, struct slice bytes); /* absent: nothing */
void buffer_append_text(struct buffer *buffer, const char *text);
/* Appends the text with every `replaced` (not empty) as `replacement`. */
void buffer_append_replaced(struct buffer *buffer, const char *text, const char *replaced,
                            const char *replacement);
void buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buffer_append_json_string(struct buffer *buffer, struct slice text);
struct slice buffer_slice(const struct buffer *buffer);
