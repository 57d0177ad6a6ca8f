/* extract: reads declared fields from a JSON document in one pass, without a document tree;
 * allocates only in the caller's arena. All threads share a plan read-only.
 *
 * A field has a type and alternative dotted paths ("data.entity_id"); the first that is present and
 * not null counts. A list field gives one row per element, with fields of its own. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define EXTRACT_EXACT 9007199254740992LL /* 2^53: a double has each whole number below it */

enum field_type {
    FIELD_STRING,  /* UTF-8, no NUL */
    FIELD_INTEGER, /* whole number below EXTRACT_EXACT, either way */
    FIELD_BIGINT,  /* int64, or a string of its digits */
    FIELD_NUMBER,  /* finite double */
    FIELD_BOOLEAN,
    FIELD_TIMESTAMP, /* string in ISO 8601 → microseconds */
    FIELD_DATE,      /* string, year-month-day → days since 1970 */
    FIELD_UUID,      /* string, any spelling → 16 bytes */
    FIELD_JSON,      /* object or array → its bytes, white space outside strings removed */
    FIELD_OBJECT,    /* object; only that it is one */
    FIELD_STRINGS,   /* array of strings */
    FIELD_LIST,      /* array of objects, each read by `element` */
};

struct extract_field {
    const char *name; /* as scripts see it */
    enum field_type type;
    bool optional;            /* missing or null is absent rather than an error */
    bool check_only;          /* checked, but not passed to scripts */
    const char *required_if;  /* the field is required if the named one is present */
    const char *const *paths; /* path_count dotted paths */
    size_t path_count;
    const char *const *choices;       /* choice_count allowed strings; NULL: any */
    const char *const *choice_values; /* their values for scripts */
    size_t choice_count;
    /* Inclusive bounds of a number, or of the length in bytes of a string or each list element. */
    bool has_min, has_max;
    double min, max;
    const struct extract_field *element; /* FIELD_LIST: element fields, paths from the element */
    size_t element_count;
};

struct extract_value {
    bool present;
    union {
        struct slice text; /* STRING, JSON */
        int64_t integer;   /* INTEGER, BIGINT, BOOLEAN (0/1), TIMESTAMP (µs), DATE (days) */
        double number;
        uint8_t uuid[16];
        struct {
            struct slice *items;
            size_t count;
        } strings;
        struct {
            struct extract_value *cells; /* row-major: rows × element_count */
            size_t rows;
        } list;
    } as;
};

struct extract_plan; /* immutable */

/* Copies the fields. NULL: err names a bad field or path. */
struct extract_plan *extract_plan_create(const struct extract_field *fields, size_t count,
                                         struct err *err);
void extract_plan_destroy(struct extract_plan *plan);

/* Validates the whole document and fills values[count], the valid ones also after a bad field.
 * Slices point into `document` or the arena. False: ERR_INPUT with "code: sentence with the path";
 * the codes are not_json, bad_utf8, not_object, missing_field, wrong_type, out_of_range,
 * unknown_value, bad_string (a NUL) and too_deep. */
bool extract_run(const struct extract_plan *plan, struct slice document, struct arena *arena,
                 struct extract_value *values, struct err *err);
