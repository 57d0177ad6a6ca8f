#include "arena.h"

#include <stdlib.h>

#include "utf8.h"
#include "xalloc.h"

/* With these marks AddressSanitizer finds a use after arena_reset and an overrun within a chunk. */
#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#endif

#define ALIGNMENT 16

struct chunk {
    struct chunk *next;
    size_t size; /* of the memory after this header */
    size_t used;
    size_t padding; /* keeps the memory 16-byte aligned */
};

struct arena {
    size_t chunk_bytes;
    struct chunk *first;
    struct chunk *current;
    size_t used; /* handed out since the last reset */
};

static struct chunk *arena_new_chunk(size_t size) {
    struct chunk *chunk = xcalloc(1, sizeof *chunk + size);
    chunk->size = size;
    ASAN_POISON_MEMORY_REGION(chunk + 1, size);
    return chunk;
}

struct arena *arena_create(size_t chunk_bytes) {
    struct arena *arena = xcalloc(1, sizeof *arena);
    arena->chunk_bytes = chunk_bytes;
    arena->first = arena->current = arena_new_chunk(chunk_bytes);
    return arena;
}

void arena_destroy(struct arena *arena) {
    if (!arena) {
        return;
    }
    for (struct chunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

static struct chunk *arena_advance(struct arena *arena, size_t bytes) {
    struct chunk *next = arena->current->next;
    if (!next || next->size < bytes) {
        next = arena_new_chunk(bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes);
        next->next = arena->current->next;
        arena->current->next = next;
    }
    return arena->current = next;
}

void *arena_alloc(struct arena *arena, size_t bytes) {
    size_t taken = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct chunk *chunk = arena->current;
    if (chunk->size - chunk->used < taken) {
        chunk = arena_advance(arena, taken);
    }
    void *memory = (char *)(chunk + 1) + chunk->used;
    chunk->used += taken;
    arena->used += taken;
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    return memory;
}

struct slice arena_copy(struct arena *arena, struct slice bytes) {
    if (!bytes.data) {
        return bytes;
    }
    char *copy = arena_alloc(arena, bytes.len + 1);
    memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = '\0';
    return (struct slice){copy, bytes.len};
}

void arena_reset(struct arena *arena) {
    for (struct chunk *chunk = arena->first; chunk; chunk = chunk->next) {
        chunk->used = 0;
        ASAN_POISON_MEMORY_REGION(chunk + 1, chunk->size);
        while (chunk->next && chunk->next->size > arena->chunk_bytes) {
            struct chunk *oversized = chunk->next;
            chunk->next = oversized->next;
            free(oversized);
        }
    }
    arena->current = arena->first;
    arena->used = 0;
}

size_t arena_used(const struct arena *arena) {
    return arena->used;
}

size_t arena_bytes(const struct arena *arena) {
    size_t bytes = 0;
    for (const struct chunk *chunk = arena->first; chunk; chunk = chunk->next) {
        bytes += chunk->size;
    }
    return bytes;
}

struct slice arena_copy_utf8(struct arena *arena, struct slice text) {
    char *copy = arena_alloc(arena, text.len + 1);
    for (size_t i = 0; i < text.len;) {
        size_t step = utf8_sequence(text.data + i, text.len - i);
        if (step == 0) {
            copy[i++] = '?';
            continue;
        }
        memcpy(copy + i, text.data + i, step);
        i += step;
    }
    copy[text.len] = '\0';
    return (struct slice){copy, text.len};
}
