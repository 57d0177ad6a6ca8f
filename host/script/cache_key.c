/* cache_key: the text under which a response is cached. Two requests that a route can tell apart
 * have different texts. Pure. */
#include <strings.h>

#include "script_private.h"

#define MAX_KEY_BYTES 1024

/* Values are percent-encoded (RFC 3986 2.1), so that none contains what separates them. */
static void cache_key_append_escaped(struct buffer *out, struct slice value) {
    static const char hex[] = "0123456789ABCDEF", plain[] = "-._~";
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c && strchr(plain, c))) {
            buffer_append(out, &value.data[i], 1);
        } else {
            buffer_append(out, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        }
    }
}

/* ---- query and headers --------------------------------------------------------------------- */

static const struct script_pair *cache_key_find(const struct script_pair *pairs, size_t count,
                                                const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name.len == strlen(name) &&
            strncasecmp(pairs[i].name.data, name, pairs[i].name.len) == 0) {
            return &pairs[i];
        }
    }
    return NULL;
}

/* Names of query parameters differ in more than their case: manifest_request.c. */
static void cache_key_append_part(struct buffer *out, char begin, const struct script_part *part,
                                  const struct script_pair *pairs, size_t count) {
    for (size_t i = 0; part && i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            const char *name = part->fields[i].paths[p];
            const struct script_pair *pair = cache_key_find(pairs, count, name);
            if (pair) {
                buffer_append(out, &begin, 1);
                buffer_append_text(out, name);
                buffer_append_text(out, "=");
                cache_key_append_escaped(out, pair->value);
                begin = '&';
            }
        }
    }
}

void script_append_variant(const struct script_route *route, const struct script_request *request,
                           struct buffer *text) {
    cache_key_append_part(text, '?', route->query, request->query, request->query_count);
    cache_key_append_part(text, '#', route->headers, request->headers, request->header_count);
}

/* ---- the key ------------------------------------------------------------------------------- */

static bool cache_key_has_fields(const struct script_part *part) {
    return part && part->field_count > 0;
}

/* One value alone needs no escapes: others may know the key "order:{order_id}". */
static bool cache_key_escapes(const struct script_route *route) {
    const char *first = strchr(route->cache_key, '{');
    return cache_key_has_fields(route->query) || cache_key_has_fields(route->headers) ||
           (first && strchr(first + 1, '{'));
}

/* Replaces the {parameters} of the pattern. */
static void cache_key_expand(const struct script_route *route, const struct script_request *request,
                             struct buffer *key) {
    bool escapes = cache_key_escapes(route);
    for (const char *pattern = route->cache_key; *pattern;) {
        size_t plain = strcspn(pattern, "{");
        size_t len = pattern[plain] ? strcspn(pattern + plain, "}") + 1 : 0; /* with braces */
        buffer_append(key, pattern, plain);
        for (size_t i = 0; len > 0 && i < request->param_count; i++) {
            struct slice value = request->params[i].value;
            if (!slice_equal(request->params[i].name,
                             (struct slice){pattern + plain + 1, len - 2})) {
                continue;
            }
            if (escapes) {
                cache_key_append_escaped(key, value);
            } else {
                buffer_append_slice(key, value);
            }
        }
        pattern += plain + len;
    }
}

bool script_cache_key(const struct script_route *route, const struct script_request *request,
                      struct buffer *key) {
    buffer_clear(key);
    cache_key_expand(route, request, key);
    size_t expanded = key->len;
    script_append_variant(route, request, key);
    return key->len == expanded || key->len <= MAX_KEY_BYTES;
}
