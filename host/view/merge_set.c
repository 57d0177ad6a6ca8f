#include "merge_set.h"

#include <stdlib.h>

#include "base/number.h"
#include "base/xalloc.h"
#include "literal.h"

#define ADDED_AT_FIRST 4

struct merge_set *merge_set_create(struct arena *arena) {
    struct merge_set *set = arena_alloc(arena, sizeof *set);
    *set = (struct merge_set){.value.as.text = slice_of("{}")};
    return set;
}

void merge_set_add(struct arena *arena, struct merge_set *set, const struct view_value *literal) {
    if (set->added_count == set->added_cap) {
        size_t cap = set->added_cap ? set->added_cap * 2 : ADDED_AT_FIRST;
        struct slice *added = arena_alloc(arena, cap * sizeof *added);
        if (set->added_count > 0) {
            memcpy(added, set->added, set->added_count * sizeof *added);
        }
        set->added = added;
        set->added_cap = cap;
    }
    set->added[set->added_count++] = literal->as.text;
}

/* Items while they are sorted; not in the arena, which keeps all until the batch ends. */
struct merge_items {
    struct slice *items;
    size_t count, cap;
};

static void merge_set_collect(struct arena *arena, struct slice literal,
                              struct merge_items *items) {
    struct literal_reader reader;
    struct slice item;
    literal_begin(&reader, literal);
    while (literal_next(&reader, arena, &item)) {
        if (items->count == items->cap) {
            items->cap = items->cap ? items->cap * 2 : 64;
            items->items = xrealloc(items->items, items->cap * sizeof *items->items);
        }
        items->items[items->count++] = item;
    }
}

static int merge_set_compare(const void *left, const void *right, void *type) {
    const struct slice *a = left, *b = right;
    int64_t number = 0, other = 0;
    if (*(const enum view_type *)type == VIEW_INTEGER ||
        *(const enum view_type *)type == VIEW_BIGINT) {
        number_parse_int64(*a, &number);
        number_parse_int64(*b, &other);
        return (number > other) - (number < other);
    }
    return slice_compare(*a, *b); /* UUIDs and dates sort as their texts */
}

static struct slice merge_set_write(struct arena *arena, const struct merge_items *items,
                                    size_t limit) {
    struct buffer literal = {0};
    size_t written = 0;
    buffer_append_text(&literal, "{");
    for (size_t i = 0; i < items->count && written < limit; i++) {
        if (i == 0 || !slice_equal(items->items[i], items->items[i - 1])) {
            buffer_append_text(&literal, written++ > 0 ? "," : "");
            literal_append_item(&literal, items->items[i]);
        }
    }
    buffer_append_text(&literal, "}");
    struct slice copy = arena_copy(arena, buffer_slice(&literal));
    buffer_free(&literal);
    return copy;
}

void merge_set_finish(struct arena *arena, struct merge_set *set, const struct view_group *group) {
    struct merge_items items = {0};
    enum view_type type = view_item_type(group->columns[0].type);
    if (set->added_count == 0) {
        return;
    }
    merge_set_collect(arena, set->value.as.text, &items);
    for (size_t i = 0; i < set->added_count; i++) {
        merge_set_collect(arena, set->added[i], &items);
    }
    if (items.count > 1) {
        qsort_r(items.items, items.count, sizeof *items.items, merge_set_compare, &type);
    }
    set->value.as.text = merge_set_write(arena, &items, group->limit);
    set->added_count = 0;
    free(items.items);
}
