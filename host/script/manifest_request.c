/* Reads what a route declares of its requests: query, headers, body, rate limit. The fields are
 * those of events; an extract plan checks the values of a request. */
#include <math.h>
#include <strings.h>

#include "manifest.h"

#define JSON "application/json"
#define MAX_BODY_BYTES (16.0 * 1024 * 1024)
#define MAX_RATE 100000.0
#define MAX_RATE_S 86400.0
#define TOKEN                                                                                      \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"                               \
    "!#$%&'*+-^_`|~" /* RFC 9110 5.6.2, without the dot that separates parts of a path */

/* ---- query and headers --------------------------------------------------------------------- */

/* Values of queries and headers are texts: they hold no lists and objects. */
static void manifest_request_check_type(struct manifest_reader *r,
                                        const struct extract_field *field) {
    static const enum field_type types[] = {FIELD_JSON, FIELD_OBJECT, FIELD_STRINGS, FIELD_LIST};
    for (size_t i = 0; i < COUNT(types); i++) {
        if (field->type == types[i]) {
            manifest_problem(r, "type",
                             "the type %s cannot be sent as text: use string, integer, bigint, "
                             "number, boolean, timestamp, date or uuid",
                             manifest_field_types[field->type]);
        }
    }
}

static void manifest_request_check_name(struct manifest_reader *r, const char *what,
                                        const char *name) {
    if (strspn(name, TOKEN) != strlen(name)) {
        manifest_problem(r, name,
                         "\"%.80s\" is not allowed as the name of %s: use letters, digits and -_~ "
                         "only",
                         name, what);
    }
}

/* Each name of a request belongs to one field. */
static void manifest_request_check_repeated(struct manifest_reader *r,
                                            const struct script_part *part, const char *name,
                                            size_t before) {
    for (size_t i = 0; i < before; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            if (strcasecmp(part->fields[i].paths[p], name) == 0) {
                manifest_problem(r, name, "\"%.80s\" is also declared by the field %s", name,
                                 part->fields[i].name);
            }
        }
    }
}

static void manifest_request_check_texts(struct manifest_reader *r, const char *what,
                                         const struct script_part *part) {
    for (size_t i = 0; i < part->field_count; i++) {
        const struct extract_field *field = &part->fields[i];
        struct manifest_scope scope = {0};
        manifest_enter(r, &scope, field->name, "field %s", field->name);
        manifest_request_check_type(r, field);
        for (size_t p = 0; p < field->path_count; p++) {
            manifest_request_check_name(r, what, field->paths[p]);
            manifest_request_check_repeated(r, part, field->paths[p], i);
        }
        manifest_leave(r);
    }
}

/* The program reads these itself, or they belong to the connection. */
static void manifest_request_check_headers(struct manifest_reader *r,
                                           const struct script_part *part) {
    static const char *const own[] = {"Connection", "Content-Length",   "Expect", "Host",
                                      "TE",         "Transfer-Encoding"};
    for (size_t i = 0; i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            const char *name = part->fields[i].paths[p];
            bool refused = strcasecmp(name, r->generation->config->http.api_key_header) == 0;
            for (size_t o = 0; o < COUNT(own); o++) {
                refused = refused || strcasecmp(name, own[o]) == 0;
            }
            if (refused) {
                manifest_problem(r, name, "the header %s is the program's: a route does not get it",
                                 name);
            }
        }
    }
}

/* The fields at the top, with their plan where they have no problems. */
static void manifest_request_read_part(struct manifest_reader *r, struct script_part *part) {
    size_t before = r->problems->found;
    struct extract_field *fields =
        manifest_alloc(r->generation, MANIFEST_MAX_FIELDS * sizeof *fields);
    struct err err = {0};
    r->fields_read = 0;
    manifest_read_fields(r, fields, &part->field_count);
    part->fields = fields;
    if (r->problems->found == before) {
        part->plan = extract_plan_create(fields, part->field_count, &err);
        if (!part->plan) {
            manifest_problem(r, NULL, "%s", err.text);
        }
    }
}

static struct script_part *manifest_request_read_texts(struct manifest_reader *r, const char *key,
                                                       const char *what) {
    struct manifest_scope scope = {0};
    struct script_part *part = manifest_alloc(r->generation, sizeof *part);
    manifest_enter(r, &scope, key, "%s", key);
    r->names_are_paths = true;
    manifest_request_read_part(r, part);
    r->names_are_paths = false;
    manifest_request_check_texts(r, what, part);
    manifest_leave(r);
    return part;
}

const struct script_part *manifest_read_query(struct manifest_reader *r) {
    return manifest_request_read_texts(r, "query", "a parameter");
}

const struct script_part *manifest_read_headers(struct manifest_reader *r) {
    struct script_part *part = manifest_request_read_texts(r, "headers", "a header");
    manifest_request_check_headers(r, part);
    return part;
}

/* ---- body ---------------------------------------------------------------------------------- */

struct body_reading {
    struct script_body *body;
    const char *content_type;
    struct manifest_number max_bytes;
    bool ignores_unknown;
};

static void manifest_request_read_body_fields(struct manifest_reader *r, void *target) {
    manifest_request_read_part(r, &((struct body_reading *)target)->body->part);
}

static const struct manifest_key body_keys[] = {
    {"fields", MANIFEST_TABLE, false, 0, "a table of paths by name",
     manifest_request_read_body_fields},
    {"content_type", MANIFEST_TEXT, false, offsetof(struct body_reading, content_type), NULL, NULL},
    {"max_bytes", MANIFEST_NUMBER, false, offsetof(struct body_reading, max_bytes), NULL, NULL},
    {"ignore_unknown", MANIFEST_SWITCH, false, offsetof(struct body_reading, ignores_unknown), NULL,
     NULL},
};

static void manifest_request_take_max_bytes(struct manifest_reader *r,
                                            const struct body_reading *reading) {
    double bytes = reading->max_bytes.value;
    reading->body->max_bytes = SCRIPT_BODY_BYTES;
    if (!reading->max_bytes.there) {
        return;
    }
    if (!(bytes >= 1 && bytes <= MAX_BODY_BYTES && bytes == floor(bytes))) {
        manifest_problem(r, "max_bytes", "`max_bytes` is a whole number from 1 to %.0f",
                         MAX_BODY_BYTES);
        return;
    }
    reading->body->max_bytes = (size_t)bytes;
}

static void manifest_request_take_content_type(struct manifest_reader *r,
                                               const struct body_reading *reading) {
    const char *type = reading->content_type ? reading->content_type : JSON;
    const char *slash = strchr(type, '/');
    reading->body->content_type = type;
    if (!slash || slash == type || strspn(type, TOKEN ".") != (size_t)(slash - type) ||
        slash[1 + strspn(slash + 1, TOKEN ".")] || !slash[1]) {
        manifest_problem(r, "content_type",
                         "`content_type` is a media type without parameters, such as \"text/csv\"");
    } else if (reading->body->part.fields && strcmp(type, JSON) != 0) {
        manifest_problem(r, "content_type", "`fields` belong to " JSON ": remove one of them");
    }
}

const struct script_body *manifest_read_body(struct manifest_reader *r) {
    struct manifest_scope scope = {0};
    struct script_body *body = manifest_alloc(r->generation, sizeof *body);
    struct body_reading reading = {.body = body};
    manifest_enter(r, &scope, "body", "body");
    manifest_read_table(r, body_keys, COUNT(body_keys), false, &reading);
    manifest_request_take_max_bytes(r, &reading);
    manifest_request_take_content_type(r, &reading);
    body->ignores_unknown = reading.ignores_unknown;
    manifest_leave(r);
    return body;
}

/* ---- rate limit ---------------------------------------------------------------------------- */

struct rate_reading {
    struct manifest_number requests, per_s, burst;
};

static const struct manifest_key rate_keys[] = {
    {"requests", MANIFEST_NUMBER, true, offsetof(struct rate_reading, requests), "a whole number",
     NULL},
    {"per_s", MANIFEST_NUMBER, false, offsetof(struct rate_reading, per_s), NULL, NULL},
    {"burst", MANIFEST_NUMBER, false, offsetof(struct rate_reading, burst), NULL, NULL},
};

/* `standard` where the key is missing. */
static double manifest_request_whole(struct manifest_reader *r, const char *key,
                                     const struct manifest_number *number, double standard) {
    double value = number->there ? number->value : standard;
    double most = strcmp(key, "per_s") == 0 ? MAX_RATE_S : MAX_RATE;
    if (!(value >= 1 && value <= most && value == floor(value))) {
        manifest_problem(r, key, "`%s` is a whole number from 1 to %.0f", key, most);
        return 1;
    }
    return value;
}

struct script_rate manifest_read_rate(struct manifest_reader *r) {
    struct manifest_scope scope = {0};
    struct rate_reading reading = {0};
    manifest_enter(r, &scope, "rate_limit", "rate_limit");
    manifest_read_table(r, rate_keys, COUNT(rate_keys), false, &reading);
    double requests = manifest_request_whole(r, "requests", &reading.requests, 1);
    double per_s = manifest_request_whole(r, "per_s", &reading.per_s, 1);
    double burst = manifest_request_whole(r, "burst", &reading.burst, requests);
    manifest_leave(r);
    return (struct script_rate){(int64_t)(per_s * 1e9 / requests), (int64_t)burst};
}
