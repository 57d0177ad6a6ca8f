/* merge_key: the keys of rows in memory: their order, their hashes, and the content ids among them.
 * The order is that of all writes; it need not be Postgres'. Private to merge. */
#pragma once

#include "base/arena.h"
#include "view.h"

int merge_key_compare(const struct view_table *table, const struct view_value *a,
                      const struct view_value *b);
uint64_t merge_key_hash(const struct view_table *table, const struct view_value *key);
/* A number that sorts like the first column: decides nearly every compare. */
uint64_t merge_key_prefix(const struct view_table *table, const struct view_value *key);
/* The hash of a group's values, in the arena. */
struct slice merge_key_content(struct arena *arena, const struct view_group *group,
                               const struct view_value *values);
