/* extract: pulls declared fields out of a JSON document in one pass, with no document tree and no
 * allocation but in the caller's arena. A plan is compiled once per handler and then shared,
 * read-only, by all threads.
 *
 * A field has a type and one or more alternative dotted paths ("data.entity_id"); the first path
 * that is there and not null is taken. Names in paths match object keys (a key with escapes is
 * unescaped first; of duplicate keys the last wins whole, as in Python's json). A list field yields
 * one row per element, read by fields of its own. */
#ifndef AGG_HOST_EXTRACT_EXTRACT_H
#define AGG_HOST_EXTRACT_EXTRACT_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum field_type {
    FIELD_STRING,  /* UTF-8, no NUL */
    FIELD_INTEGER, /* int64 */
    FIELD_NUMBER,  /* finite double */
    FIELD_BOOLEAN,
    FIELD_TIMESTAMP, /* string in ISO 8601 → microseconds */
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
    bool check_only;          /* checked, not handed to scripts */
    const char *required_if;  /* makes an optional field required where the named one is there */
    const char *const *paths; /* path_count dotted paths */
    size_t path_count;
    const char *const *choices;       /* enum_count allowed strings, or NULL: any */
    const char *const *choice_values; /* what each is mapped to (same count) */
    size_t choice_count;
    /* Bounds, inclusive: of a number, or of the length of a string (of each of a list of strings)
     * in bytes; has_min/has_max say whether they count. */
    bool has_min, has_max;
    double min, max;
    const struct extract_field *element; /* FIELD_LIST: element fields, paths from the element */
    size_t element_count;
};

struct extract_value {
    bool present;
    union {
        struct slice text; /* STRING, JSON */
        int64_t integer;   /* INTEGER, BOOLEAN (0/1), TIMESTAMP (µs) */
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

/* Copies what it needs. NULL: a bad path or field, said in err. */
struct extract_plan *extract_plan_create(const struct extract_field *fields, size_t count,
                                         struct err *err);
void extract_plan_destroy(struct extract_plan *plan);

/* Validates the whole document and fills values[count]. Slices point into `document` or the arena.
 * Where the document is an object but a field is wrong, the other values are filled all the same.
 * False (ERR_INPUT): err->text is "code: sentence naming path", code being one of not_json,
 * bad_utf8, not_object, missing_field, wrong_type, out_of_range, unknown_value, bad_string (a NUL),
 * too_deep. */
bool extract_run(const struct extract_plan *plan, struct slice document, struct arena *arena,
                 struct extract_value *values, struct err *err);

#endif
