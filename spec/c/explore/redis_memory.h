/* redis_memory: what the model of Redis holds: rows in order of key and member. */
#pragma once

#include "base/slice.h"
#include "world.h"

/* A string's row has no member and holds its value in `member`: is_string. */
struct slice memory_get(const struct memory *memory, struct slice key); /* data NULL: nil */
void memory_set(struct memory *memory, struct slice key, struct slice value);
bool memory_delete(struct memory *memory, struct slice key);
void memory_delete_row(struct memory *memory, int row);
/* Of a set, or a sorted set: a member, new or known. */
void memory_add(struct memory *memory, struct slice key, struct slice member, double score);
/* The rows of a key: from *first on, their count. */
int memory_rows(const struct memory *memory, struct slice key, int *first);
