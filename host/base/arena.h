/* arena: memory that lives as long as one batch. Not thread-safe: one owner thread. */
#ifndef AGG_HOST_BASE_ARENA_H
#define AGG_HOST_BASE_ARENA_H

#include "slice.h"

struct arena;

struct arena *arena_create(size_t chunk_bytes);
void arena_destroy(struct arena *arena);

/* 16-byte aligned memory, valid until arena_reset. Never NULL: the process ends when memory is out.
 */
void *arena_alloc(struct arena *arena, size_t bytes);
struct slice arena_copy(struct arena *arena, struct slice bytes);
/* With ? in the place of each byte that is not UTF-8, and a NUL behind it: what a database takes.
 */
struct slice arena_copy_utf8(struct arena *arena, struct slice text);

/* Forgets everything; keeps the chunks for the next batch (all but oversized ones). */
void arena_reset(struct arena *arena);

size_t arena_bytes(const struct arena *arena);
/* Of them handed out since the last reset. */
size_t arena_used(const struct arena *arena);

#endif
