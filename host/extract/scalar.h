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

/* Without escapes; in the document or in the arena. */
struct slice scalar_plain_text(struct arena *arena, const struct json_value *value);
/* Always false: "wrong_type: PATH is a list, not WANTED". */
bool scalar_wrong_type(const struct conversion *c, const char *wanted);
/* Text of a string without NUL. */
bool scalar_take_text(const struct conversion *c, struct slice *text);
bool scalar_check_length(const struct conversion *c, struct slice text);
/* Of a field that is no JSON, object, strings or list. */
bool scalar_convert(const struct conversion *c);
