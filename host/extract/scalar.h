/* scalar: converts a value of JSON that is no object and no list as its field declares. Private to
 * extract. */
#pragma once

#include "base/json_scan.h"
#include "plan.h"

struct conversion {
    const struct extract_item *item;
    const struct json_value *from;
    struct arena *arena;
    struct extract_value *to;
    struct err *err;
};

/* Always false: "wrong_type: PATH is a list, not WANTED". */
bool scalar_wrong_type(const struct conversion *c, const char *wanted);
/* Of a field that is no JSON, object, strings or list. */
bool scalar_convert(const struct conversion *c);

/* ---- inline: most fields are strings --------------------------------------------------------- */

/* Without escapes; in the document or in the arena. */
static inline struct slice scalar_plain_text(struct arena *arena, const struct json_value *value) {
    if (!value->has_escapes) {
        return value->raw;
    }
    char *text = arena_alloc(arena, value->raw.len + 1);
    return (struct slice){text, json_unescape(value, text)};
}

/* Text of a string without NUL. */
static inline bool scalar_take_text(const struct conversion *c, struct slice *text) {
    if (c->from->type != JSON_STRING) {
        return scalar_wrong_type(c, "a string");
    }
    *text = scalar_plain_text(c->arena, c->from);
    if (c->from->has_escapes && text->len > 0 && memchr(text->data, '\0', text->len)) {
        return err_set(c->err, ERR_INPUT, "bad_string: %s holds a NUL", c->item->path);
    }
    return true;
}

static inline bool scalar_check_length(const struct conversion *c, struct slice text) {
    if ((c->item->has_min && (double)text.len < c->item->min) ||
        (c->item->has_max && (double)text.len > c->item->max)) {
        return err_set(c->err, ERR_INPUT, "out_of_range: %s is %zu bytes long", c->item->path,
                       text.len);
    }
    return true;
}
