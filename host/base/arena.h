/* arena: memory that lives as long as one batch. Not thread-safe: one owner thread. */
#pragma once

#include "slice.h"

struct arena;

struct arena *arena_create(size_t chunk_bytes);
void arena_destroy(struct arena *arena);

/* 16-byte aligned memory, valid until arena_reset; never NULL (see xalloc.h). */
void *arena_alloc(struct arena *arena, size_t bytes);
struct slice arena_copy(struct arena *arena, struct slice bytes);
/* Copies text for a database: `?` replaces each byte that is not UTF-8; a NUL follows. */
struct slice arena_copy_utf8(struct arena *arena, struct slice text);

/* Invalidates all memory; keeps all chunks but oversized ones for the next batch. */
void arena_reset(struct arena *arena);

size_t arena_bytes(const struct arena *arena); /* of all chunks */
size_t arena_used(const struct arena *arena);  /* allocated since the last reset */
