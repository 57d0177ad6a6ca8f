/* literal: the text literals of Postgres' arrays (Postgres manual, 8.15.2) that carry lists of the
 * view: one dimension, each item in quotes or NULL: {"a","b \"c\"",NULL}. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

/* Appends an item with its quotes. The caller writes braces and commas. */
void literal_append_item(struct buffer *out, struct slice text);

/* The items of a literal that was written so, one after another. */
struct literal_reader {
    const char *at, *end;
};
void literal_begin(struct literal_reader *reader, struct slice literal);
/* False past the last one. *item: data NULL for NULL; in the literal, or where it has escapes in
 * the arena, without which it keeps them. */
bool literal_next(struct literal_reader *reader, struct arena *arena, struct slice *item);
size_t literal_count(struct slice literal);
