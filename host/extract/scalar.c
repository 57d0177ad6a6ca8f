#include "scalar.h"

#include <inttypes.h>
#include <math.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "base/utf8.h"
#include "base/uuid.h"

#define QUOTED_BYTES 80 /* of a value in an error */

bool scalar_wrong_type(const struct conversion *c, const char *wanted) {
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "a list",    "an object"};
    return err_set(c->err, ERR_INPUT, "wrong_type: %s is %s, not %s", c->item->path,
                   names[c->from->type], wanted);
}

static bool scalar_convert_string(const struct conversion *c) {
    struct slice text = {0};
    if (!scalar_take_text(c, &text) || !scalar_check_length(c, text)) {
        return false;
    }
    c->to->as.text = text;
    for (size_t i = 0; i < c->item->choice_count; i++) {
        if (slice_equal(text, c->item->choices[i])) {
            c->to->as.text = c->item->choice_values[i];
            return true;
        }
    }
    if (c->item->choices) {
        return err_set(c->err, ERR_INPUT, "unknown_value: %s is \"%.*s\"", c->item->path,
                       (int)utf8_cut(text.data, text.len, QUOTED_BYTES), text.data);
    }
    return true;
}

/* Bounds of whole numbers are whole and not above 2^53. */
static bool scalar_check_whole(const struct conversion *c, int64_t number) {
    const struct extract_item *item = c->item;
    c->to->as.integer = number;
    if (item->type == FIELD_INTEGER && (number <= -EXTRACT_EXACT || number >= EXTRACT_EXACT)) {
        return err_set(c->err, ERR_INPUT,
                       "out_of_range: %s is %" PRId64
                       ", which no Lua number holds exactly: a field of the type bigint takes it",
                       item->path, number);
    }
    if ((item->has_min && number < (int64_t)item->min) ||
        (item->has_max && number > (int64_t)item->max)) {
        return err_set(c->err, ERR_INPUT, "out_of_range: %s is %" PRId64, item->path, number);
    }
    return true;
}

/* Of a number that json_to_int64 does not read: 1.0 and 1e3 are whole, too. */
static bool scalar_convert_whole_double(const struct conversion *c, double number) {
    if (number != floor(number)) {
        return err_set(c->err, ERR_INPUT, "wrong_type: %s is %.17g, not a whole number",
                       c->item->path, number);
    }
    if (fabs(number) >= (double)EXTRACT_EXACT) {
        return err_set(c->err, ERR_INPUT, "out_of_range: %s does not fit 64 bits", c->item->path);
    }
    return scalar_check_whole(c, (int64_t)number);
}

static bool scalar_to_double(const struct conversion *c, double *number) {
    return json_to_double(c->from, number) ||
           err_set(c->err, ERR_INPUT, "out_of_range: %s does not fit a double", c->item->path);
}

/* Always false: "wrong_type: PATH is "text", not WANTED" */
static bool scalar_refuse_text(const struct conversion *c, struct slice text, const char *wanted) {
    return err_set(c->err, ERR_INPUT, "wrong_type: %s is \"%.*s\", not %s", c->item->path,
                   (int)utf8_cut(text.data, text.len, QUOTED_BYTES), text.data, wanted);
}

/* JavaScript and the JSON of protobuf send 64 bits as a string of digits. */
static bool scalar_convert_digits(const struct conversion *c) {
    struct slice text = {0};
    int64_t number;
    if (!scalar_take_text(c, &text)) {
        return false;
    }
    return number_parse_int64(text, &number)
               ? scalar_check_whole(c, number)
               : scalar_refuse_text(c, text, "a whole number of 64 bits");
}

static bool scalar_convert_whole(const struct conversion *c) {
    double number;
    int64_t whole;
    if (c->item->type == FIELD_BIGINT && c->from->type == JSON_STRING) {
        return scalar_convert_digits(c);
    }
    if (c->from->type != JSON_NUMBER) {
        return scalar_wrong_type(c, "a number");
    }
    if (json_to_int64(c->from, &whole)) {
        return scalar_check_whole(c, whole);
    }
    return scalar_to_double(c, &number) && scalar_convert_whole_double(c, number);
}

static bool scalar_convert_number(const struct conversion *c) {
    double number;
    if (c->from->type != JSON_NUMBER) {
        return scalar_wrong_type(c, "a number");
    }
    if (!scalar_to_double(c, &number)) {
        return false;
    }
    c->to->as.number = number;
    if ((c->item->has_min && number < c->item->min) ||
        (c->item->has_max && number > c->item->max)) {
        return err_set(c->err, ERR_INPUT, "out_of_range: %s is %.17g", c->item->path, number);
    }
    return true;
}

static bool scalar_convert_coded(const struct conversion *c) {
    struct slice text = {0};
    if (!scalar_take_text(c, &text)) {
        return false;
    }
    switch (c->item->type) {
    case FIELD_UUID:
        return uuid_read(text, c->to->as.uuid) || scalar_refuse_text(c, text, "a UUID");
    case FIELD_DATE:
        return date_parse(text, &c->to->as.integer) || scalar_refuse_text(c, text, DATE_WANTED);
    default:
        return timestamp_parse(text, &c->to->as.integer) ||
               scalar_refuse_text(c, text, TIMESTAMP_WANTED);
    }
}

bool scalar_convert(const struct conversion *c) {
    switch (c->item->type) {
    case FIELD_STRING:
        return scalar_convert_string(c);
    case FIELD_INTEGER:
    case FIELD_BIGINT:
        return scalar_convert_whole(c);
    case FIELD_NUMBER:
        return scalar_convert_number(c);
    case FIELD_BOOLEAN:
        c->to->as.integer = c->from->boolean;
        return c->from->type == JSON_BOOL || scalar_wrong_type(c, "a boolean");
    default:
        return scalar_convert_coded(c);
    }
}
