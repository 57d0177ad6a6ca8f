#include "literal.h"

void literal_append_item(struct buffer *out, struct slice text) {
    buffer_append_text(out, "\"");
    for (size_t copied = 0; copied < text.len;) {
        size_t plain = copied;
        while (plain < text.len && text.data[plain] != '"' && text.data[plain] != '\\') {
            plain++;
        }
        buffer_append(out, text.data + copied, plain - copied);
        if (plain < text.len) {
            buffer_append(out, (char[]){'\\', text.data[plain++]}, 2);
        }
        copied = plain;
    }
    buffer_append_text(out, "\"");
}

void literal_begin(struct literal_reader *reader, struct slice literal) {
    *reader = (struct literal_reader){literal.data + 1, literal.data + literal.len - 1};
}

static struct slice literal_unescape(struct arena *arena, struct slice quoted) {
    char *text = arena_alloc(arena, quoted.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < quoted.len; i++) {
        i += quoted.data[i] == '\\';
        text[len++] = quoted.data[i];
    }
    return (struct slice){text, len};
}

bool literal_next(struct literal_reader *reader, struct arena *arena, struct slice *item) {
    bool escapes = false;
    if (reader->at >= reader->end) {
        return false;
    }
    *item = (struct slice){0};
    if (*reader->at == '"') {
        const char *first = ++reader->at;
        while (*reader->at != '"') {
            escapes = escapes || *reader->at == '\\';
            reader->at += *reader->at == '\\' ? 2 : 1;
        }
        *item = (struct slice){first, (size_t)(reader->at++ - first)};
    } else {
        reader->at += sizeof "NULL" - 1;
    }
    reader->at++; /* the comma */
    if (escapes && arena) {
        *item = literal_unescape(arena, *item);
    }
    return true;
}

size_t literal_count(struct slice literal) {
    struct literal_reader reader;
    struct slice item;
    size_t count = 0;
    literal_begin(&reader, literal);
    while (literal_next(&reader, NULL, &item)) {
        count++;
    }
    return count;
}
