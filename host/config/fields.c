#include "fields.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/pg_url.h"
#include "bindings/redis.h"
#include "base/xalloc.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): names of members */
#define FIELD(section, key, kind, min, max)                                                        \
    { #section, #key, (kind), offsetof(struct config, section.key), (min), (max), NULL, false }
#define LIVE(section, key, kind, min, max)                                                         \
    { #section, #key, (kind), offsetof(struct config, section.key), (min), (max), NULL, true }
#define WORD_OF(section, key, words, live)                                                         \
    { #section, #key, WORD, offsetof(struct config, section.key), 0, 0, words, live }
#define PAIRS_OF(section, key, rule, live)                                                         \
    { #section, #key, PAIRS, offsetof(struct config, section.key), 0, 0, rule, live }
#define HEADER_FIELD(section, key, otherwise)                                                      \
    { #section, #key, HEADER, offsetof(struct config, section.key), 0, 0, otherwise, false }
/* NOLINTEND(bugprone-macro-parentheses) */

const struct config_field config_fields[] = {
    FIELD(service, name, TEXT, 0, 0),
    FIELD(service, environment, TEXT, 0, 0),
    FIELD(service, version, TEXT, 0, 0),
    FIELD(http, host, TEXT, 0, 0),
    FIELD(http, port, INTEGER, 0, 65535),
    FIELD(http, loops, INTEGER, 1, 64),
    FIELD(http, threads, INTEGER, 1, 4096),
    FIELD(http, max_connections, INTEGER, 1, 1000000),
    LIVE(http, states, INTEGER, 1, 256),
    FIELD(http, request_timeout_ms, INTEGER, 100, 600000),
    FIELD(http, keep_alive_timeout_ms, INTEGER, 0, 600000),
    FIELD(http, drain_delay_ms, INTEGER, 0, 600000),
    FIELD(http, drain_timeout_ms, INTEGER, 0, 600000),
    FIELD(http, healthz_needs_database, SWITCH, 0, 0),
    HEADER_FIELD(http, api_key_header, "X-Internal-API-Key"),
    HEADER_FIELD(http, caller_header, "X-Service-ID"),
    HEADER_FIELD(http, correlation_id_header, "X-Correlation-ID"),
    LIVE(http, api_keys, STRINGS, 0, 0),
    LIVE(http, allowed_services, STRINGS, 0, 0),
    PAIRS_OF(http, vocabularies, "must map callers to vocabularies", true),
    FIELD(kafka, brokers, BROKERS, 0, 0),
    FIELD(kafka, group, TEXT, 0, 0),
    FIELD(kafka, client_id, TEXT, 0, 0),
    WORD_OF(kafka, auto_offset_reset, " earliest latest ", false),
    FIELD(kafka, session_timeout_ms, INTEGER, 1000, 3600000),
    PAIRS_OF(kafka, options, "must map property names to strings or numbers", false),
    FIELD(postgres, url, POSTGRES_URL, 0, 0),
    FIELD(postgres, connect_timeout_ms, INTEGER, 100, 600000),
    FIELD(postgres, statement_timeout_ms, INTEGER, 100, 3600000),
    FIELD(redis, url, REDIS_URL, 0, 0),
    FIELD(redis, timeout_ms, INTEGER, 1, 60000),
    LIVE(redis, seen_ttl_s, INTEGER, 1, 31536000),
    FIELD(ingest, workers, INTEGER, 1, 64),
    LIVE(ingest, batch_max_events, INTEGER, 1, 1000000),
    LIVE(ingest, batch_max_bytes, INTEGER, 1024, 268435456),
    LIVE(ingest, batch_max_merge_bytes, INTEGER, 65536, 1073741824),
    LIVE(ingest, event_max_merge_bytes, INTEGER, 65536, 268435456),
    LIVE(ingest, breaker_share_percent, INTEGER, 1, 100),
    LIVE(ingest, breaker_window_events, INTEGER, 10, 100000),
    LIVE(ingest, rejected_keep_hours, INTEGER, 1, 8760),
    LIVE(ingest, rejected_keep_rows, INTEGER, 1, 10000000),
    LIVE(ingest, rejected_keep_mb, INTEGER, 1, 1048576),
    FIELD(outbox, enabled, SWITCH, 0, 0),
    FIELD(outbox, horizon_hours, INTEGER, 1, 876000),
    FIELD(outbox, keep_rows, INTEGER, 0, 1000000000),
    FIELD(cache, enabled, SWITCH, 0, 0),
    FIELD(cache, ttl_s, INTEGER, 1, 86400),
    FIELD(cache, process_max_bytes, INTEGER, 0, 2147483647),
    FIELD(scripts, root, PATH, 0, 0),
    FIELD(scripts, sql, PATH, 0, 0),
    LIVE(scripts, specs, PATH, 0, 0),
    LIVE(scripts, specs_timeout_s, INTEGER, 1, 3600),
    LIVE(scripts, trial_s, INTEGER, 0, 86400),
    LIVE(scripts, trial_margin_percent, INTEGER, 0, 100),
    LIVE(scripts, canary_events, INTEGER, 1, CONFIG_CANARY_EVENTS_MAX),
    LIVE(scripts, canary_accept_percent, INTEGER, 0, 100),
    LIVE(scripts, memory_limit_mb, INTEGER, 1, 4096),
    LIVE(scripts, handler_timeout_ms, INTEGER, 1, 600000),
    LIVE(scripts, route_timeout_ms, INTEGER, 1, 600000),
    LIVE(scripts, stuck_unready_s, INTEGER, 1, 86400),
    LIVE(scripts, stuck_exit_s, INTEGER, 0, 86400),
    FIELD(admin, socket, PATH, 0, 0),
    FIELD(admin, host, TEXT, 0, 0),
    FIELD(admin, port, INTEGER, 0, 65535),
    FIELD(admin, keys, STRINGS, 0, 0),
    WORD_OF(log, level, " debug info warn warning error critical ", true),
    WORD_OF(log, format, " json text ", true),
};
const size_t config_field_count = sizeof config_fields / sizeof *config_fields;

/* ---- values -------------------------------------------------------------------------------- */

static void fields_free_items(char **items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
    free(items);
}

static char **fields_copy_items(char *const *items, size_t count) {
    char **copy = xcalloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = xstrdup(items[i]);
    }
    return copy;
}

static bool fields_same_items(char *const *a, char *const *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i], b[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool fields_is_login_option(const char *name) {
    return strcmp(name, "sasl.username") == 0 || strcmp(name, "sasl.password") == 0;
}

/* Pairs have no order. With ignores_login the values of SASL's login may differ. */
static bool fields_same_pairs(const struct config_pairs *a, const struct config_pairs *b,
                              bool ignores_login) {
    size_t same = 0, in_a = 0, in_b = 0;
    for (size_t i = 0; i < a->count; i++) {
        bool counts = !ignores_login || !fields_is_login_option(a->names[i]);
        in_a += counts;
        for (size_t j = 0; counts && j < b->count; j++) {
            same +=
                strcmp(a->names[i], b->names[j]) == 0 && strcmp(a->values[i], b->values[j]) == 0;
        }
    }
    for (size_t j = 0; j < b->count; j++) {
        in_b += !ignores_login || !fields_is_login_option(b->names[j]);
    }
    return in_a == in_b && same == in_a;
}

static bool fields_is_text(const struct config_field *field) {
    return field->kind != INTEGER && field->kind != SWITCH && field->kind != STRINGS &&
           field->kind != PAIRS;
}

static void fields_free_value(const struct config_field *field, struct config *config) {
    void *target = (char *)config + field->offset;
    if (fields_is_text(field)) {
        free(*(char **)target);
    } else if (field->kind == STRINGS) {
        struct config_strings *strings = target;
        fields_free_items(strings->items, strings->count);
    } else if (field->kind == PAIRS) {
        struct config_pairs *pairs = target;
        fields_free_items(pairs->names, pairs->count);
        fields_free_items(pairs->values, pairs->count);
    }
}

static void fields_copy_value(const struct config_field *field, struct config *to,
                              const struct config *from) {
    void *target = (char *)to + field->offset;
    const void *source = (const char *)from + field->offset;
    if (fields_is_text(field)) {
        *(char **)target = xstrdup(*(char *const *)source);
    } else if (field->kind == STRINGS) {
        const struct config_strings *strings = source;
        *(struct config_strings *)target = (struct config_strings){
            fields_copy_items(strings->items, strings->count), strings->count};
    } else if (field->kind == PAIRS) {
        const struct config_pairs *pairs = source;
        *(struct config_pairs *)target =
            (struct config_pairs){fields_copy_items(pairs->names, pairs->count),
                                  fields_copy_items(pairs->values, pairs->count), pairs->count};
    } else {
        *(int *)target = *(const int *)source;
    }
}

static bool fields_same_value(const struct config_field *field, const struct config *left,
                              const struct config *right) {
    const void *a = (const char *)left + field->offset, *b = (const char *)right + field->offset;
    if (fields_is_text(field)) {
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    }
    if (field->kind == STRINGS) {
        const struct config_strings *one = a, *other = b;
        return one->count == other->count &&
               fields_same_items(one->items, other->items, one->count);
    }
    if (field->kind == PAIRS) {
        return fields_same_pairs(a, b, false);
    }
    return *(const int *)a == *(const int *)b;
}

/* ---- reload -------------------------------------------------------------------------------- */

/* True if a program that runs with `left` can apply the value of `right`. Logins are live: each
 * new connection reads the present one. */
static bool fields_is_live(const struct config_field *field, const struct config *left,
                           const struct config *right) {
    const void *a = (const char *)left + field->offset, *b = (const char *)right + field->offset;
    switch (field->kind) {
    case POSTGRES_URL:
        return pg_url_same_place(*(char *const *)a, *(char *const *)b);
    case REDIS_URL:
        return redis_url_same_place(*(char *const *)a, *(char *const *)b);
    case PAIRS:
        return field->live || fields_same_pairs(a, b, true);
    default:
        return field->live;
    }
}

void config_compare(const struct config *a, const struct config *b,
                    void (*differs)(void *context, const char *section, const char *key, bool live),
                    void *context) {
    for (size_t i = 0; i < config_field_count; i++) {
        if (!fields_same_value(&config_fields[i], a, b)) {
            differs(context, config_fields[i].section, config_fields[i].key,
                    fields_is_live(&config_fields[i], a, b));
        }
    }
}

struct config *config_renew(const struct config *running, const struct config *fresh) {
    struct config *renewed = xcalloc(1, sizeof *renewed);
    atomic_init(&renewed->refs, 1);
    for (size_t i = 0; i < config_field_count; i++) {
        fields_copy_value(&config_fields[i], renewed,
                          fields_is_live(&config_fields[i], running, fresh) ? fresh : running);
    }
    return renewed;
}

static void fields_destroy(struct config *config) {
    for (size_t i = 0; i < config_field_count; i++) {
        fields_free_value(&config_fields[i], config);
    }
    fields_free_items(config->secret_files.items, config->secret_files.count);
    free(config);
}

const struct config *config_ref(const struct config *config) {
    atomic_fetch_add(&((struct config *)config)->refs, 1);
    return config;
}

void config_unref(const struct config *config) {
    if (config && atomic_fetch_sub(&((struct config *)config)->refs, 1) == 1) {
        fields_destroy((struct config *)config);
    }
}
