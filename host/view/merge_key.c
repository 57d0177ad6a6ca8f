#include "merge_key.h"

#include <endian.h>

#include "base/hash.h"

static struct slice merge_key_bytes(enum view_type type, const struct view_value *value) {
    return view_is_bytes(type)
               ? value->as.text
               : (struct slice){(const char *)&value->as.integer, sizeof value->as.integer};
}

static int merge_key_compare_values(enum view_type type, const struct view_value *a,
                                    const struct view_value *b) {
    if (view_is_bytes(type)) {
        return slice_compare(a->as.text, b->as.text);
    }
    return (a->as.integer > b->as.integer) - (a->as.integer < b->as.integer);
}

int merge_key_compare(const struct view_table *table, const struct view_value *a,
                      const struct view_value *b) {
    for (size_t i = 0; i < table->key_count; i++) {
        int order = merge_key_compare_values(table->key[i].type, &a[i], &b[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

uint64_t merge_key_hash(const struct view_table *table, const struct view_value *key) {
    uint64_t hash = 0;
    for (size_t i = 0; i < table->key_count; i++) {
        hash = hash64_seeded(merge_key_bytes(table->key[i].type, &key[i]), hash + i);
    }
    return hash;
}

/* Of a shorter text zeros follow. */
uint64_t merge_key_prefix(const struct view_table *table, const struct view_value *key) {
    if (!view_is_bytes(table->key[0].type)) {
        return (uint64_t)key->as.integer ^ (1ULL << 63); /* the negative ones first */
    }
    struct slice text = key->as.text;
    uint64_t prefix = 0;
    memcpy(&prefix, text.data, text.len < sizeof prefix ? text.len : sizeof prefix);
    return be64toh(prefix);
}

/* Each value after its presence and length, so that different values never have the same encoding.
 */
struct slice merge_key_content(struct arena *arena, const struct view_group *group,
                               const struct view_value *values) {
    size_t len = 0;
    for (size_t i = 0; i < group->column_count; i++) {
        len +=
            9 + (values[i].is_null ? 0 : merge_key_bytes(group->columns[i].type, &values[i]).len);
    }
    char *encoded = arena_alloc(arena, len ? len : 1), *at = encoded;
    for (size_t i = 0; i < group->column_count; i++) {
        struct slice bytes = merge_key_bytes(group->columns[i].type, &values[i]);
        uint64_t size = values[i].is_null ? 0 : bytes.len;
        *at++ = values[i].is_null ? 0 : 1;
        memcpy(at, &size, 8);
        at += 8;
        if (size) {
            memcpy(at, bytes.data, size);
        }
        at += size;
    }
    char *id = arena_alloc(arena, 16);
    hash128((struct slice){encoded, (size_t)(at - encoded)}, (uint8_t *)id);
    return (struct slice){id, 16};
}
