/* Reads a route's `cache`: its key, its ages, and what the responses vary with. */
#include <math.h>
#include <strings.h>

#include "manifest.h"

#define MAX_AGE_S 604800.0
#define MAX_VARY_BYTES 256

/* ---- reading ------------------------------------------------------------------------------- */

struct cache_reading {
    struct manifest_cache *cache;
    const char *key, *type;
    struct manifest_number ttl_s, revalidate_s, error_s, max_age_s;
    bool after_commit;
};

static void manifest_cache_read_names(struct manifest_reader *r, const char *key,
                                      struct manifest_vary *vary) {
    vary->names = manifest_take_texts(r, key, MANIFEST_MAX_VARY, &vary->count);
    vary->count = vary->names ? vary->count : 0;
}

static void manifest_cache_read_query(struct manifest_reader *r, void *target) {
    manifest_cache_read_names(r, "query", &((struct manifest_cache *)target)->query);
}

static void manifest_cache_read_headers(struct manifest_reader *r, void *target) {
    manifest_cache_read_names(r, "headers", &((struct manifest_cache *)target)->headers);
}

static const struct manifest_key vary_keys[] = {
    {"query", MANIFEST_TEXTS, false, 0, "names of the route's `query`", manifest_cache_read_query},
    {"headers", MANIFEST_TEXTS, false, 0, "names of the route's `headers`",
     manifest_cache_read_headers},
};

static void manifest_cache_read_vary(struct manifest_reader *r, void *target) {
    struct manifest_scope scope = {0};
    manifest_enter(r, &scope, "vary", "cache.vary");
    manifest_read_table(r, vary_keys, COUNT(vary_keys), false,
                        ((struct cache_reading *)target)->cache);
    manifest_leave(r);
}

static const struct manifest_key cache_keys[] = {
    {"key", MANIFEST_TEXT, true, offsetof(struct cache_reading, key),
     "a text with the path's parameters, \"order:{order_id}\"", NULL},
    {"type", MANIFEST_TEXT, false, offsetof(struct cache_reading, type), NULL, NULL},
    {"vary", MANIFEST_TABLE, false, 0, "{ query = { \"limit\" }, headers = { \"language\" } }",
     manifest_cache_read_vary},
    {"ttl_s", MANIFEST_NUMBER, false, offsetof(struct cache_reading, ttl_s), NULL, NULL},
    {"stale_while_revalidate_s", MANIFEST_NUMBER, false,
     offsetof(struct cache_reading, revalidate_s), NULL, NULL},
    {"stale_if_error_s", MANIFEST_NUMBER, false, offsetof(struct cache_reading, error_s), NULL,
     NULL},
    {"stale_after_commit", MANIFEST_SWITCH, false, offsetof(struct cache_reading, after_commit),
     NULL, NULL},
    {"max_age_s", MANIFEST_NUMBER, false, offsetof(struct cache_reading, max_age_s), NULL, NULL},
};

/* 0 where the key is missing. */
static int manifest_cache_seconds(struct manifest_reader *r, const char *key,
                                  const struct manifest_number *number) {
    double value = number->value;
    if (number->there && !(value >= 1 && value <= MAX_AGE_S && value == floor(value))) {
        manifest_problem(r, key, "`%s` is a whole number of seconds from 1 to %.0f", key,
                         MAX_AGE_S);
        return 0;
    }
    return number->there ? (int)value : 0;
}

void manifest_read_cache(struct manifest_reader *r, struct manifest_cache *cache) {
    struct manifest_scope scope = {0};
    struct cache_reading reading = {.cache = cache};
    manifest_enter(r, &scope, "cache", "cache");
    manifest_read_table(r, cache_keys, COUNT(cache_keys), false, &reading);
    cache->key = reading.key;
    cache->type = reading.type;
    cache->cache.ttl_s = manifest_cache_seconds(r, "ttl_s", &reading.ttl_s);
    cache->cache.max_age_s = manifest_cache_seconds(r, "max_age_s", &reading.max_age_s);
    cache->cache.stale_while_revalidate_s =
        manifest_cache_seconds(r, "stale_while_revalidate_s", &reading.revalidate_s);
    cache->cache.stale_if_error_s = manifest_cache_seconds(r, "stale_if_error_s", &reading.error_s);
    cache->cache.stale_after_commit = reading.after_commit;
    if (reading.after_commit && !reading.revalidate_s.there && !reading.error_s.there) {
        manifest_problem(r, "stale_after_commit",
                         "`stale_after_commit` needs `stale_while_revalidate_s` or "
                         "`stale_if_error_s`, which say how long");
    }
    manifest_leave(r);
}

/* ---- the key ------------------------------------------------------------------------------- */

void manifest_refuse_param(struct manifest_reader *r, struct slice name,
                           const struct manifest_params *params) {
    const char *names[MANIFEST_MAX_PARAMS];
    char word[128];
    snprintf(word, sizeof word, "%.*s", (int)name.len, name.data);
    for (size_t i = 0; i < params->count; i++) {
        char *copy = manifest_alloc(r->generation, params->names[i].len + 1);
        names[i] = memcpy(copy, params->names[i].data, params->names[i].len);
    }
    manifest_refuse(r, "parameter of the path", word, names, params->count);
}

/* The key has each parameter of each path, and no other. */
static void manifest_cache_compare_key(struct manifest_reader *r, const char *path,
                                       const struct manifest_params *key,
                                       const struct manifest_params *params) {
    for (size_t i = 0; i < key->count; i++) {
        if (!manifest_has_param(params, key->names[i])) {
            manifest_refuse_param(r, key->names[i], params);
        }
    }
    for (size_t i = 0; i < params->count; i++) {
        if (!manifest_has_param(key, params->names[i])) {
            manifest_problem(r, "key",
                             "`key` lacks {%.*s} of the path %s: different requests would share a "
                             "response",
                             (int)params->names[i].len, params->names[i].data, path);
        }
    }
}

static void manifest_cache_check_key(struct manifest_reader *r, const struct script_route *route,
                                     const char *text, const struct manifest_params *paths) {
    struct manifest_params key;
    const char *problem = manifest_check_key(text, &key);
    if (problem) {
        manifest_problem(r, "key", "`key` is \"%.200s\": %s", text, problem);
    }
    for (size_t i = 0; i < route->path_count && !problem; i++) {
        manifest_cache_compare_key(r, route->paths[i], &key, &paths[i]);
    }
}

/* ---- what responses vary with --------------------------------------------------------------- */

static bool manifest_cache_has(const struct manifest_vary *vary, const char *name) {
    for (size_t i = 0; i < vary->count; i++) {
        if (strcmp(vary->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* A response is cached for all requests that have the same values of what is declared: `vary` names
 * all of it: an author who declares another parameter decides what it does to the cache. */
static void manifest_cache_check_vary(struct manifest_reader *r, const char *what,
                                      const struct script_part *part,
                                      const struct manifest_vary *vary) {
    const char *names[MANIFEST_MAX_FIELDS];
    size_t count = part ? part->field_count : 0;
    for (size_t i = 0; i < count; i++) {
        names[i] = part->fields[i].name;
        if (!manifest_cache_has(vary, names[i])) {
            manifest_problem(r, names[i],
                             "`%s` declares %s, which `cache.vary.%s` lacks: requests that differ "
                             "in it would share a response; name it there",
                             what, names[i], what);
        }
    }
    struct manifest_scope scope = {0};
    manifest_enter(r, &scope, "vary", "cache.vary.%s", what);
    for (size_t i = 0; i < vary->count; i++) {
        if (count == 0) {
            manifest_problem(r, vary->names[i], "\"%.80s\" is not declared: the route has no `%s`",
                             vary->names[i], what);
        } else if (script_find_named(part->fields, count, sizeof *part->fields, vary->names[i]) <
                   0) {
            manifest_refuse(r, "declared field", vary->names[i], names, count);
        }
    }
    manifest_leave(r);
}

/* Appends a name to the header Vary. False: it becomes too long. */
static bool manifest_cache_append_vary(char *line, const char *name) {
    size_t len = strlen(line);
    int written = snprintf(line + len, MAX_VARY_BYTES - len, "%s%s", len > 0 ? ", " : "", name);
    return written >= 0 && (size_t)written < MAX_VARY_BYTES - len;
}

/* Clients and proxies compare the same headers (RFC 9110 12.5.5). What a client keeps without
 * asking belongs to the caller that it was sent to, or has the words of that caller. */
static void manifest_cache_set_vary(struct manifest_reader *r, struct script_route *route) {
    const char *caller = r->generation->config->http.caller_header;
    const struct script_part *headers = route->headers;
    char line[MAX_VARY_BYTES] = "";
    bool fits = true, has_caller = false, is_of_caller = route->authenticated || route->words;
    for (size_t i = 0; headers && i < headers->field_count; i++) {
        for (size_t p = 0; p < headers->fields[i].path_count; p++) {
            const char *name = headers->fields[i].paths[p];
            has_caller = has_caller || (caller && strcasecmp(name, caller) == 0);
            fits = fits && manifest_cache_append_vary(line, name);
        }
    }
    if (route->cache.max_age_s > 0 && is_of_caller && caller && !has_caller) {
        fits = fits && manifest_cache_append_vary(line, caller);
    }
    if (!fits) {
        manifest_problem(r, "headers",
                         "the names of `headers` are longer than %d bytes: the "
                         "header Vary of a cached route lists them",
                         MAX_VARY_BYTES);
    }
    route->cache.vary = line[0] ? manifest_text(r->generation, line) : NULL;
}

static void manifest_cache_set_control(struct manifest_reader *r, struct script_route *route) {
    char text[64];
    if (route->cache.max_age_s > 0) {
        snprintf(text, sizeof text, "%s, max-age=%d", route->authenticated ? "private" : "public",
                 route->cache.max_age_s);
        route->cache.control = manifest_text(r->generation, text);
    }
}

void manifest_check_cache(struct manifest_reader *r, struct script_route *route,
                          const struct manifest_cache *reading,
                          const struct manifest_params *paths) {
    struct manifest_scope scope = {0};
    manifest_enter(r, &scope, "cache", "cache");
    manifest_cache_check_key(r, route, reading->key, paths);
    if (strcmp(route->method, "GET") != 0) {
        manifest_problem(r, NULL, "responses of %s cannot be cached, only those of GET",
                         route->method);
    }
    manifest_leave(r);
    route->cache = reading->cache;
    manifest_cache_check_vary(r, "query", route->query, &reading->query);
    manifest_cache_check_vary(r, "headers", route->headers, &reading->headers);
    manifest_cache_set_vary(r, route);
    manifest_cache_set_control(r, route);
}
