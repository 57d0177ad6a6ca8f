/* values: copies, compares and frees the values of the fields. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/pg_url.h"
#include "bindings/redis.h"
#include "base/xalloc.h"

/* ---- values -------------------------------------------------------------------------------- */

static void values_free_items(char **items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
    free(items);
}

void config_strings_free(struct config_strings *strings) {
    values_free_items(strings->items, strings->count);
}

void config_strings_add(struct config_strings *strings, const char *text) {
    strings->items = xrealloc(strings->items, (strings->count + 1) * sizeof *strings->items);
    strings->items[strings->count++] = xstrdup(text);
}

/* Where the name is, or belongs: pairs are sorted. */
static size_t values_find_pair(const struct config_pairs *pairs, const char *name, bool *found) {
    size_t at = 0;
    while (at < pairs->count && strcmp(pairs->names[at], name) < 0) {
        at++;
    }
    *found = at < pairs->count && strcmp(pairs->names[at], name) == 0;
    return at;
}

static void values_insert(char ***items, size_t at, size_t count, const char *text) {
    *items = xrealloc(*items, (count + 1) * sizeof **items);
    memmove(*items + at + 1, *items + at, (count - at) * sizeof **items);
    (*items)[at] = xstrdup(text);
}

static void values_remove(char **items, size_t at, size_t count) {
    free(items[at]);
    memmove(items + at, items + at + 1, (count - at - 1) * sizeof *items);
}

void config_pairs_put(struct config_pairs *pairs, const char *name, const char *value) {
    bool found;
    size_t at = values_find_pair(pairs, name, &found);
    if (found) {
        free(pairs->values[at]);
        pairs->values[at] = xstrdup(value);
        return;
    }
    values_insert(&pairs->names, at, pairs->count, name);
    values_insert(&pairs->values, at, pairs->count++, value);
}

void config_pairs_remove(struct config_pairs *pairs, const char *name) {
    bool found;
    size_t at = values_find_pair(pairs, name, &found);
    if (found) {
        values_remove(pairs->names, at, pairs->count);
        values_remove(pairs->values, at, pairs->count--);
    }
}

static char **values_copy_items(char *const *items, size_t count) {
    char **copy = xcalloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = xstrdup(items[i]);
    }
    return copy;
}

static void values_copy_strings(struct config_strings *to, const struct config_strings *from) {
    *to = (struct config_strings){values_copy_items(from->items, from->count), from->count};
}

static bool values_same_items(char *const *a, char *const *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i], b[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool values_is_login_option(const char *name) {
    return strcmp(name, "sasl.username") == 0 || strcmp(name, "sasl.password") == 0;
}

/* Pairs have no order. With ignores_login the values of SASL's login may differ. */
static bool values_same_pairs(const struct config_pairs *a, const struct config_pairs *b,
                              bool ignores_login) {
    size_t same = 0, in_a = 0, in_b = 0;
    for (size_t i = 0; i < a->count; i++) {
        bool counts = !ignores_login || !values_is_login_option(a->names[i]);
        in_a += counts;
        for (size_t j = 0; counts && j < b->count; j++) {
            same +=
                strcmp(a->names[i], b->names[j]) == 0 && strcmp(a->values[i], b->values[j]) == 0;
        }
    }
    for (size_t j = 0; j < b->count; j++) {
        in_b += !ignores_login || !values_is_login_option(b->names[j]);
    }
    return in_a == in_b && same == in_a;
}

static bool values_is_text(const struct config_field *field) {
    return field->kind != INTEGER && field->kind != SWITCH && field->kind != STRINGS &&
           field->kind != PAIRS;
}

static void values_free_value(const struct config_field *field, struct config *config) {
    void *target = (char *)config + field->offset;
    if (values_is_text(field)) {
        free(*(char **)target);
    } else if (field->kind == STRINGS) {
        config_strings_free(target);
    } else if (field->kind == PAIRS) {
        struct config_pairs *pairs = target;
        values_free_items(pairs->names, pairs->count);
        values_free_items(pairs->values, pairs->count);
    }
}

static void values_copy_value(const struct config_field *field, struct config *to,
                              const struct config *from) {
    void *target = (char *)to + field->offset;
    const void *source = (const char *)from + field->offset;
    if (values_is_text(field)) {
        *(char **)target = xstrdup(*(char *const *)source);
    } else if (field->kind == STRINGS) {
        const struct config_strings *strings = source;
        values_copy_strings(target, strings);
    } else if (field->kind == PAIRS) {
        const struct config_pairs *pairs = source;
        *(struct config_pairs *)target =
            (struct config_pairs){values_copy_items(pairs->names, pairs->count),
                                  values_copy_items(pairs->values, pairs->count), pairs->count};
    } else {
        *(int *)target = *(const int *)source;
    }
}

static bool values_same_value(const struct config_field *field, const struct config *left,
                              const struct config *right) {
    const void *a = (const char *)left + field->offset, *b = (const char *)right + field->offset;
    if (values_is_text(field)) {
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    }
    if (field->kind == STRINGS) {
        const struct config_strings *one = a, *other = b;
        return one->count == other->count &&
               values_same_items(one->items, other->items, one->count);
    }
    if (field->kind == PAIRS) {
        return values_same_pairs(a, b, false);
    }
    return *(const int *)a == *(const int *)b;
}

static bool values_same_places(const struct config_strings *a, const struct config_strings *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = pg_url_same_place(a->items[i], b->items[i]);
    }
    return same;
}

/* ---- reload -------------------------------------------------------------------------------- */

/* True if a program that runs with `left` can apply the value of `right`. Logins are live: each
 * new connection reads the present one. */
static bool values_is_live(const struct config_field *field, const struct config *left,
                           const struct config *right) {
    const void *a = (const char *)left + field->offset, *b = (const char *)right + field->offset;
    switch (field->kind) {
    case POSTGRES_URL:
        return pg_url_same_place(*(char *const *)a, *(char *const *)b);
    case REDIS_URL:
        return redis_url_same_place(*(char *const *)a, *(char *const *)b);
    case STRINGS:
        return field->live || (field->urls && values_same_places(a, b));
    case PAIRS:
        return field->live || values_same_pairs(a, b, true);
    default:
        return field->live;
    }
}

void config_compare(const struct config *a, const struct config *b,
                    void (*differs)(void *context, const char *section, const char *key, bool live),
                    void *context) {
    for (size_t i = 0; i < config_field_count; i++) {
        if (!values_same_value(&config_fields[i], a, b)) {
            differs(context, config_fields[i].section, config_fields[i].key,
                    values_is_live(&config_fields[i], a, b));
        }
    }
}

static void values_copy_origin(size_t field, struct config *to, const struct config *from) {
    if (from->origins) {
        values_copy_strings(&to->origins[field].files, &from->origins[field].files);
        values_copy_strings(&to->origins[field].variables, &from->origins[field].variables);
    }
}

struct config *config_renew(const struct config *running, const struct config *fresh) {
    struct config *renewed = config_new();
    values_copy_strings(&renewed->files, &fresh->files);
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *field = &config_fields[i];
        const struct config *source = values_is_live(field, running, fresh) ? fresh : running;
        values_copy_value(field, renewed, source);
        values_copy_origin(i, renewed, source);
    }
    return renewed;
}

static void values_destroy(struct config *config) {
    for (size_t i = 0; i < config_field_count; i++) {
        values_free_value(&config_fields[i], config);
    }
    for (size_t i = 0; config->origins && i < config_field_count; i++) {
        config_strings_free(&config->origins[i].files);
        config_strings_free(&config->origins[i].variables);
    }
    free(config->origins);
    config_strings_free(&config->files);
    config_strings_free(&config->secret_files);
    config_strings_free(&config->warnings);
    free(config);
}

const struct config *config_ref(const struct config *config) {
    atomic_fetch_add(&((struct config *)config)->refs, 1);
    return config;
}

void config_unref(const struct config *config) {
    if (config && atomic_fetch_sub(&((struct config *)config)->refs, 1) == 1) {
        values_destroy((struct config *)config);
    }
}
