/* json_put: JSON objects and lists written member by member: a member knows from the last byte
 * whether a comma goes before it. Closing brackets are the caller's, by buffer_append_text. `name`
 * is NULL for an element of a list. */
#ifndef AGG_HOST_BASE_JSON_PUT_H
#define AGG_HOST_BASE_JSON_PUT_H

#include <stdint.h>

#include "buffer.h"

/* The comma, if one is due, and "name": in front of a value that the caller appends. */
void json_put_name(struct buffer *json, const char *name);
/* The same, and the bracket: "{" or "[". */
void json_open(struct buffer *json, const char *name, const char *bracket);
void json_put_text(struct buffer *json, const char *name, struct slice text); /* absent: null */
void json_put_int(struct buffer *json, const char *name, int64_t value);
void json_put_bool(struct buffer *json, const char *name, bool value);
void json_put_time(struct buffer *json, const char *name, int64_t unix_us); /* not above 0: null */
void json_put_uuid(struct buffer *json, const char *name, const uint8_t *uuid); /* NULL: null */
/* A list of what stands in a buffer of its own: elements with commas between them. */
void json_put_list(struct buffer *json, const char *name, const struct buffer *elements);

#endif
