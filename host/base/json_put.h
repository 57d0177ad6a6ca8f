/* json_put: writes JSON objects and lists member by member; the last byte of the buffer decides
 * whether a comma is needed. The caller writes the closing brackets. `name` is NULL in a list. */
#pragma once

#include <stdint.h>

#include "buffer.h"

/* The comma, if needed, and "name":. The caller appends the value. */
void json_put_name(struct buffer *json, const char *name);
/* The same, and the bracket: "{" or "[". */
void json_open(struct buffer *json, const char *name, const char *bracket);
void json_put_text(struct buffer *json, const char *name, struct slice text); /* data NULL: null */
void json_put_int(struct buffer *json, const char *name, int64_t value);
void json_put_bool(struct buffer *json, const char *name, bool value);
void json_put_time(struct buffer *json, const char *name, int64_t unix_us);     /* <= 0: null */
void json_put_uuid(struct buffer *json, const char *name, const uint8_t *uuid); /* NULL: null */
/* Appends valid JSON, or a part of it, without spaces between its tokens. data NULL: nothing. */
void json_append_compact(struct buffer *json, struct slice text);
/* A list whose elements, with commas between them, are in a buffer. */
void json_put_list(struct buffer *json, const char *name, const struct buffer *elements);
