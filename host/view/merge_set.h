/* merge_set: the union of items that the rules `set` and `count` keep of a row, while a batch is
 * merged. Items are added as lists; merge_set_finish sorts them once. Private to merge. */
#pragma once

#include "base/arena.h"
#include "view.h"

struct merge_set {
    /* The union up to the last merge_set_finish: a literal, its items in order, each once, at most
     * as many as the group's limit. The first member: merge_group_value.values points to it. */
    struct view_value value;
    struct slice *added; /* literals */
    size_t added_count, added_cap;
};

struct merge_set *merge_set_create(struct arena *arena);
/* Borrows the literal. */
void merge_set_add(struct arena *arena, struct merge_set *set, const struct view_value *literal);
/* Texts in order of their bytes, numbers and dates by size, as in the upsert (view_sql.c). Of more
 * items than the limit the least stay: whatever is added later, a greater one never comes back, so
 * the result does not depend on the order of additions. */
void merge_set_finish(struct arena *arena, struct merge_set *set, const struct view_group *group);
