/* Checks paths and cache keys of routes. Pure. */
#include "manifest.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

bool manifest_has_param(const struct manifest_params *params, struct slice name) {
    for (size_t i = 0; i < params->count; i++) {
        if (slice_equal(params->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* Reads the parameter whose brace is at *at, and moves past it. */
static const char *manifest_path_read_param(const char **at, struct manifest_params *params) {
    const char *name = *at + 1;
    size_t len = strspn(name, LETTERS DIGITS "_");
    if (name[len] != '}') {
        return strchr(name, '}') ? "a parameter name has letters, digits and _ only"
                                 : "a { is not closed";
    }
    if (len == 0) {
        return "a parameter has no name";
    }
    if (params->count == MANIFEST_MAX_PARAMS) {
        return "it has more than 16 parameters";
    }
    params->names[params->count++] = (struct slice){name, len};
    *at = name + len + 1;
    return NULL;
}

/* Values are escaped down to these: cache_key.c. */
#define VALUE_BYTES LETTERS DIGITS "-._~%"

const char *manifest_check_key(const char *key, struct manifest_params *params) {
    const char *problem = NULL;
    bool separated = true; /* from the parameter before */
    params->count = 0;
    for (const char *at = key; *at && !problem;) {
        if (*at == '}') {
            problem = "a } has no {";
        } else if (*at != '{') {
            separated = separated || !strchr(VALUE_BYTES, *at);
            at++;
        } else if (!separated) {
            problem = "two parameters need a character between them that ends a value, such as :";
        } else {
            problem = manifest_path_read_param(&at, params);
            separated = false;
        }
    }
    return problem;
}

static const char *manifest_path_check_segment(struct slice segment,
                                               struct manifest_params *params) {
    size_t plain = 0;
    while (plain < segment.len && segment.data[plain] != '{') {
        if (segment.data[plain] == '}') {
            return "a } has no {";
        }
        if (!strchr(LETTERS DIGITS "-._~!$&'()*+,;=:@", segment.data[plain])) {
            return "use letters, digits and -._~!$&'()*+,;=:@ only";
        }
        plain++;
    }
    if (slice_equal(segment, slice_of(".")) || slice_equal(segment, slice_of(".."))) {
        return ". and .. are not allowed as segments";
    }
    if (plain == segment.len) {
        return NULL;
    }
    const char *at = segment.data + plain;
    const char *problem = manifest_path_read_param(&at, params);
    if (problem) {
        return problem;
    }
    if (at != segment.data + segment.len) {
        return "a parameter ends its segment: nothing can follow it";
    }
    struct manifest_params others = *params;
    others.count--;
    return manifest_has_param(&others, params->names[others.count])
               ? "two parameters have the same name"
               : NULL;
}

const char *manifest_check_path(const char *path, struct manifest_params *params) {
    params->count = 0;
    if (path[0] != '/') {
        return "it must begin with a slash";
    }
    if (strlen(path) > 1024) {
        return "it is longer than 1024 bytes";
    }
    for (const char *at = path; *at;) {
        size_t len = strcspn(++at, "/");
        if (len == 0 && *at) {
            return "it has an empty segment";
        }
        const char *problem = manifest_path_check_segment((struct slice){at, len}, params);
        if (problem) {
            return problem;
        }
        at += len;
    }
    return NULL;
}

static bool manifest_path_segment_covers(struct slice one, struct slice other) {
    size_t plain = 0;
    while (plain < one.len && one.data[plain] != '{') {
        plain++;
    }
    if (plain == one.len) {
        return slice_equal(one, other);
    }
    /* a parameter takes one byte or more */
    return other.len > plain && memcmp(one.data, other.data, plain) == 0;
}

bool manifest_covers(const char *pattern, const char *other) {
    while (*pattern == '/' && *other == '/') {
        size_t len = strcspn(++pattern, "/"), other_len = strcspn(++other, "/");
        if (!manifest_path_segment_covers((struct slice){pattern, len},
                                          (struct slice){other, other_len})) {
            return false;
        }
        pattern += len;
        other += other_len;
    }
    return *pattern == *other;
}
