#include "router.h"

#include <stdio.h>

#include "base/hex.h"
#include "base/utf8.h"

static bool router_is_clean(struct slice text) {
    for (size_t i = 0, step; i < text.len; i += step) {
        step = utf8_sequence(text.data + i, text.len - i);
        if (step == 0 || (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

/* Percent-decodes into pairs->bytes. False: a bad escape, bad UTF-8 or a control character. */
static bool router_decode(struct router_pairs *pairs, struct slice from, bool plus_is_space,
                          struct slice *out) {
    char *to = pairs->bytes + pairs->used;
    size_t len = 0;
    if (pairs->used + from.len > sizeof pairs->bytes) {
        return false;
    }
    for (size_t i = 0; i < from.len; i++) {
        char c = from.data[i];
        if (c == '%') {
            int byte = i + 2 < from.len ? hex_byte(from.data + i + 1) : -1;
            if (byte < 0) {
                return false;
            }
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        to[len++] = c;
    }
    pairs->used += len;
    *out = (struct slice){to, len};
    return router_is_clean(*out);
}

/* ---- paths -------------------------------------------------------------------------------- */

/* True when the path matches the pattern; *good is false when a parameter is invalid. */
static bool router_matches(const char *pattern, struct slice path, struct router_pairs *params,
                           bool *good) {
    params->count = params->used = 0;
    *good = true;
    while (*pattern) {
        if (*pattern != '{') {
            if (path.len == 0 || *pattern != *path.data) {
                return false;
            }
            pattern++, path.data++, path.len--;
            continue;
        }
        size_t name_len = strcspn(pattern + 1, "}");
        const char *slash = memchr(path.data, '/', path.len);
        size_t value_len = slash ? (size_t)(slash - path.data) : path.len;
        if (value_len == 0) {
            return false;
        }
        struct script_pair *pair = &params->items[params->count];
        *good = *good && params->count < ROUTER_MAX_PAIRS &&
                router_decode(params, (struct slice){path.data, value_len}, false, &pair->value);
        if (*good) {
            pair->name = (struct slice){pattern + 1, name_len};
            params->count++;
        }
        pattern += name_len + 2;
        path.data += value_len;
        path.len -= value_len;
    }
    return path.len == 0;
}

static void router_allow(struct router_match *match, const char *method) {
    size_t len = strlen(match->allow);
    bool get = strcmp(method, "GET") == 0;
    if (!strstr(match->allow, method)) {
        snprintf(match->allow + len, sizeof match->allow - len, "%s%s%s", len ? ", " : "", method,
                 get ? ", HEAD" : "");
    }
}

enum router_result router_find(const struct script_route *routes, size_t count,
                               const struct request *request, struct router_match *match) {
    enum router_result result = ROUTER_NOT_FOUND;
    struct slice method = request->method == METHOD_HEAD ? slice_of("GET") : request->method_name;
    match->allow[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            bool good;
            if (!router_matches(routes[i].paths[p], request->path, &match->params, &good)) {
                continue;
            }
            if (!slice_equal(slice_of(routes[i].method), method)) {
                router_allow(match, routes[i].method);
                result = ROUTER_WRONG_METHOD;
                continue;
            }
            match->route = i;
            return good ? ROUTER_FOUND : ROUTER_BAD_PARAMETER;
        }
    }
    return result;
}

void router_refuse(enum router_result result, const struct router_match *match,
                   struct response *response) {
    switch (result) {
    case ROUTER_FOUND:
        break;
    case ROUTER_BAD_PARAMETER:
        response_set_error(response, 400, "Invalid path parameter");
        break;
    case ROUTER_WRONG_METHOD:
        response_set_wrong_method(response, match->allow);
        break;
    case ROUTER_NOT_FOUND:
        response_set_error(response, 404, "Not found");
        break;
    }
}

/* ---- queries ------------------------------------------------------------------------------ */

static const char *router_add_pair(struct router_pairs *pairs, struct slice text) {
    const char *equals = memchr(text.data, '=', text.len);
    size_t name_len = equals ? (size_t)(equals - text.data) : text.len;
    size_t value_at = equals ? name_len + 1 : text.len;
    if (pairs->count == ROUTER_MAX_PAIRS) {
        return "Too many query parameters";
    }
    struct script_pair *pair = &pairs->items[pairs->count];
    if (!router_decode(pairs, (struct slice){text.data, name_len}, true, &pair->name) ||
        !router_decode(pairs, (struct slice){text.data + value_at, text.len - value_at}, true,
                       &pair->value)) {
        return "Invalid query string";
    }
    for (size_t i = 0; i < pairs->count; i++) {
        if (slice_equal(pairs->items[i].name, pair->name)) {
            return "A query parameter is repeated";
        }
    }
    pairs->count++;
    return NULL;
}

const char *router_parse_query(struct slice query, struct router_pairs *pairs) {
    pairs->count = pairs->used = 0;
    while (query.len > 0) {
        const char *end = memchr(query.data, '&', query.len);
        size_t len = end ? (size_t)(end - query.data) : query.len;
        const char *problem =
            len > 0 ? router_add_pair(pairs, (struct slice){query.data, len}) : NULL;
        if (problem) {
            return problem;
        }
        query.data += len + (end != NULL);
        query.len -= len + (end != NULL);
    }
    return NULL;
}
