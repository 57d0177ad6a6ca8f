#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ascii.h"
#include "utf8.h"
#include "xalloc.h"

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer) {
    buffer->len = 0;
    if (buffer->data) {
        buffer->data[0] = '\0';
    }
}

char *buffer_reserve(struct buffer *buffer, size_t bytes) {
    if (buffer->cap - buffer->len <= bytes) {
        size_t cap = buffer->cap ? buffer->cap : 256;
        while (cap - buffer->len <= bytes) {
            cap *= 2;
        }
        buffer->data = xrealloc(buffer->data, cap);
        buffer->cap = cap;
    }
    return buffer->data + buffer->len;
}

void buffer_append(struct buffer *buffer, const void *data, size_t len) {
    char *to = buffer_reserve(buffer, len);
    if (len) {
        memcpy(to, data, len);
    }
    to[len] = '\0';
    buffer->len += len;
}

void buffer_append_slice(struct buffer *buffer, struct slice bytes) {
    if (bytes.data) {
        buffer_append(buffer, bytes.data, bytes.len);
    }
}

void buffer_append_text(struct buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_replaced(struct buffer *buffer, const char *text, const char *replaced,
                            const char *replacement) {
    const char *found;
    while ((found = strstr(text, replaced))) {
        buffer_append(buffer, text, (size_t)(found - text));
        buffer_append_text(buffer, replacement);
        text = found + strlen(replaced);
    }
    buffer_append_text(buffer, text);
}

void buffer_append_format(struct buffer *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len > 0) {
        char *to = buffer_reserve(buffer, (size_t)len);
        vsnprintf(to, (size_t)len + 1, format, again);
        buffer->len += (size_t)len;
    }
    va_end(again);
}

static void buffer_append_json_escape(struct buffer *buffer, char c) {
    static const char escaped[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
    const char *found = c ? strchr(escaped, c) : NULL;
    if (found) {
        buffer_append_format(buffer, "\\%c", letters[found - escaped]);
    } else {
        buffer_append_format(buffer, "\\u%04x", (unsigned)c);
    }
}

void buffer_append_json_string(struct buffer *buffer, struct slice text) {
    const char *at = text.data, *end = text.data + text.len;
    buffer_append(buffer, "\"", 1);
    while (at < end) {
        size_t left = (size_t)(end - at), len = ascii_json_run(at, left);
        if (len == 0 && (unsigned char)*at < 0x80) {
            buffer_append_json_escape(buffer, *at++);
            continue;
        }
        len = len > 0 ? len : utf8_sequence(at, left);
        buffer_append(buffer, len > 0 ? at : "\xEF\xBF\xBD", len > 0 ? len : 3);
        at += len > 0 ? len : 1;
    }
    buffer_append(buffer, "\"", 1);
}

struct slice buffer_slice(const struct buffer *buffer) {
    return (struct slice){buffer->data ? buffer->data : "", buffer->len};
}
