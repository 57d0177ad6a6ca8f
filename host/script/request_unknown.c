/* request_unknown: finds members of a request's JSON that its route does not declare: a misspelt
 * optional field would be lost silently. */
#include <stdio.h>

#include "base/json_scan.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "script_private.h"

#define MAX_NAMES 256
#define MAX_PATH_BYTES 512
#define SHOWN_BYTES 80

/* The fields of an object of the document. */
struct request_unknown {
    const struct extract_field *fields;
    size_t count;
    char path[MAX_PATH_BYTES]; /* of the member under way, from the object that has the fields */
    size_t len;
    const char *list; /* the path of the list whose items have the fields; "": none */
    struct err *err;
};

/* What the path of a member is to the declared ones. */
struct request_unknown_match {
    const struct extract_field *field; /* declared with this path; NULL: none */
    bool contains;                     /* it leads to declared ones */
};

static struct request_unknown_match request_unknown_match(const struct request_unknown *at) {
    struct request_unknown_match match = {0};
    for (size_t i = 0; i < at->count; i++) {
        for (size_t p = 0; p < at->fields[i].path_count; p++) {
            struct slice path = slice_of(at->fields[i].paths[p]);
            if (path.len >= at->len && memcmp(path.data, at->path, at->len) == 0) {
                match.field = path.len == at->len ? &at->fields[i] : match.field;
                match.contains = match.contains || path.data[at->len] == '.';
            }
        }
    }
    return match;
}

static bool request_unknown_refuse(const struct request_unknown *at, bool is_dotted) {
    const char *names[MAX_NAMES];
    char word[MAX_PATH_BYTES], hint[NEAREST_HINT_CAP];
    size_t count = 0;
    for (size_t i = 0; i < at->count; i++) {
        for (size_t p = 0; p < at->fields[i].path_count && count < MAX_NAMES; p++) {
            names[count++] = at->fields[i].paths[p];
        }
    }
    size_t len = utf8_cut(at->path, at->len, SHOWN_BYTES);
    snprintf(word, sizeof word, "%.*s", (int)len, at->path);
    return err_set(at->err, ERR_INPUT, "Unknown field \"%s\"%s%s: %s", word,
                   at->list[0] ? " of an item of " : "", at->list,
                   is_dotted ? "no name has a dot: nest it in an object"
                             : nearest_hint(hint, word, names, count));
}

static bool request_unknown_object(struct request_unknown *at, struct json_cursor *cursor);

static bool request_unknown_items(const struct request_unknown *at, struct json_cursor *cursor,
                                  const struct extract_field *list) {
    struct request_unknown item = {.fields = list->element,
                                   .count = list->element_count,
                                   .list = list->paths[0],
                                   .err = at->err};
    bool more = json_enter(cursor);
    while (more && json_next_element(cursor, &more) && more) {
        item.len = 0;
        if (!request_unknown_object(&item, cursor)) {
            return false;
        }
    }
    return true;
}

/* The value of the member at->path. */
static bool request_unknown_value(struct request_unknown *at, struct json_cursor *cursor) {
    struct request_unknown_match match = request_unknown_match(at);
    struct json_value value;
    enum json_type type = JSON_NULL;
    bool there = json_peek(cursor, &type);
    if (!match.field && !match.contains) {
        return request_unknown_refuse(at, false);
    }
    if (there && match.field && match.field->type == FIELD_LIST && type == JSON_ARRAY) {
        return request_unknown_items(at, cursor, match.field);
    }
    if (there && !match.field && type == JSON_OBJECT) {
        at->path[at->len++] = '.';
        return request_unknown_object(at, cursor);
    }
    (void)json_read(cursor, &value); /* it was read before */
    return true;
}

/* Appends the key to at->path. False: it is longer than any declared path. */
static bool request_unknown_append(struct request_unknown *at, const struct json_value *key) {
    if (at->len + key->raw.len + 2 > sizeof at->path) {
        return false;
    }
    at->len += json_unescape(key, at->path + at->len);
    at->path[at->len] = '\0';
    return true;
}

/* The document was read before: its syntax is right. A dot in a declared path leads into an object,
 * so a key with one is no declared name. */
static bool request_unknown_object(struct request_unknown *at, struct json_cursor *cursor) {
    size_t len = at->len;
    struct json_value key;
    bool more = json_enter(cursor);
    while (more && json_next_member(cursor, &key, &more) && more) {
        at->len = len;
        bool fits = request_unknown_append(at, &key);
        bool is_dotted = memchr(at->path + len, '.', at->len - len) != NULL;
        if (!fits || is_dotted) {
            return request_unknown_refuse(at, is_dotted);
        }
        if (!request_unknown_value(at, cursor)) {
            return false;
        }
    }
    return true;
}

bool request_unknown_none(const struct script_part *part, struct slice document, struct err *err) {
    struct request_unknown root = {
        .fields = part->fields, .count = part->field_count, .list = "", .err = err};
    struct json_cursor cursor;
    json_begin(&cursor, document);
    return request_unknown_object(&root, &cursor);
}
