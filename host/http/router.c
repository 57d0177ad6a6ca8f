#include "router.h"

#include <stdio.h>

#include "../utf8.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_clean(const char *text, size_t len) {
    for (size_t i = 0, step; i < len; i += step) {
        step = utf8_sequence(text + i, len - i);
        if (step == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

/* Percent-decodes into out (NUL-terminated); false for bad escapes, bytes, or too little room. */
static bool decode(const char *from, size_t len, bool plus_is_space, char *out, size_t cap,
                   size_t *out_len) {
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(from[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(from[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (used + 1 >= cap) {
            return false;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    *out_len = used;
    return is_clean(out, used);
}

static bool add_pair(struct router_pairs *pairs, const char *name, size_t name_len,
                     const char *value, size_t value_len, bool in_query) {
    if (pairs->count == ROUTER_MAX_PAIRS) {
        return false;
    }
    size_t at = pairs->count, len;
    if (!decode(name, name_len, in_query, pairs->names[at], sizeof pairs->names[at], &len)) {
        return false;
    }
    pairs->items[at].name = (struct slice){pairs->names[at], len};
    if (!decode(value, value_len, in_query, pairs->values[at], sizeof pairs->values[at], &len)) {
        return false;
    }
    pairs->items[at].value = (struct slice){pairs->values[at], len};
    pairs->count++;
    return true;
}

/* True when the path has the pattern's shape; *good is false when a parameter is not acceptable. */
static bool match(const char *pattern, const char *path, struct router_pairs *params, bool *good) {
    params->count = 0;
    *good = true;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        size_t name_len = strcspn(pattern + 1, "}");
        size_t value_len = strcspn(path, "/");
        if (value_len == 0) {
            return false;
        }
        *good = *good && add_pair(params, pattern + 1, name_len, path, value_len, false);
        pattern += name_len + 2;
        path += value_len;
    }
    return *path == '\0';
}

enum router_result router_find(const struct script_route *routes, size_t count, const char *method,
                               const char *path, size_t *route, struct router_pairs *params) {
    enum router_result result = ROUTER_NOT_FOUND;
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            bool good;
            if (!match(routes[i].paths[p], path, params, &good)) {
                continue;
            }
            if (strcmp(routes[i].method, wanted) != 0) {
                result = ROUTER_WRONG_METHOD;
                continue;
            }
            *route = i;
            return good ? ROUTER_FOUND : ROUTER_BAD_PARAMETER;
        }
    }
    return result;
}

bool router_parse_query(const char *query, struct router_pairs *pairs) {
    pairs->count = 0;
    while (query && *query) {
        size_t len = strcspn(query, "&");
        size_t name_len = strcspn(query, "=&");
        const char *value = name_len < len ? query + name_len + 1 : query + len;
        if (len > 0 &&
            !add_pair(pairs, query, name_len, value, (size_t)(query + len - value), true)) {
            return false;
        }
        query += len + (query[len] == '&');
    }
    return true;
}
