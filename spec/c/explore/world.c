/* world: the region that a state lies in, and its heaps. A heap is used first fit, what is freed is
 * zeroed, and neighbours that are free become one: so its bytes depend on what is allocated, and
 * little on the order in which that was done. Each actor has a heap of its own, so that steps of
 * two actors in either order end in the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "world.h"

#define REGION ((char *)0x200000000000)
#define ALIGNED(n) (((n) + 15) / 16 * 16)

struct block {      /* in front of what is allocated */
    uint32_t bytes; /* with this */
    uint32_t used;
    uint64_t unused;
};

struct heap {
    size_t end; /* of its last block */
};

struct region {
    struct world world;
    struct heap heaps[HEAPS];
    ucontext_t contexts[ACTORS];
    char stacks[ACTORS][STACK_BYTES] __attribute__((aligned(16)));
    char memory[HEAPS][HEAP_BYTES] __attribute__((aligned(16)));
};

static struct region *const region = (struct region *)REGION;
struct world *const world = (struct world *)REGION;
static int heap_in_use = -1;

static void give_up(const char *what) {
    fprintf(stderr, "explore_cache: %s\n", what);
    abort();
}

void world_make(void) {
    void *at = mmap(REGION, sizeof *region, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != REGION) {
        give_up("no memory at the address wanted");
    }
}

void world_clear(void) {
    memset(region, 0, sizeof *region);
}

char *world_stack(int actor) {
    return region->stacks[actor];
}

ucontext_t *world_context(int actor) {
    return &region->contexts[actor];
}

/* ---- heaps --------------------------------------------------------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

void world_use_heap(int heap) {
    heap_in_use = heap;
}

int world_heap(void) {
    return heap_in_use;
}

static struct block *block_at(int heap, size_t at) {
    return (struct block *)(void *)(region->memory[heap] + at);
}

static void *heap_take(int heap, size_t bytes) {
    size_t wanted = ALIGNED(bytes ? bytes : 1) + sizeof(struct block), at = 0;
    struct block *block;
    while (at < region->heaps[heap].end) {
        block = block_at(heap, at);
        if (!block->used && block->bytes >= wanted) {
            if (block->bytes > wanted) {
                block_at(heap, at + wanted)->bytes = block->bytes - (uint32_t)wanted;
            }
            block->bytes = (uint32_t)wanted;
            block->used = 1;
            return block + 1;
        }
        at += block->bytes;
    }
    if (at + wanted > HEAP_BYTES) {
        give_up("a heap is full: HEAP_BYTES");
    }
    block = block_at(heap, at);
    *block = (struct block){(uint32_t)wanted, 1, 0};
    region->heaps[heap].end = at + wanted;
    return block + 1;
}

/* Free neighbours become one; free memory at the end is not the heap's. */
static void heap_tidy(int heap) {
    struct block *last = NULL;
    for (size_t at = 0; at < region->heaps[heap].end;) {
        struct block *block = block_at(heap, at);
        at += block->bytes;
        if (last && !last->used && !block->used) {
            last->bytes += block->bytes;
            memset(block, 0, sizeof *block);
        } else {
            last = block;
        }
    }
    if (last && !last->used) {
        region->heaps[heap].end = (size_t)((char *)last - region->memory[heap]);
        memset(last, 0, sizeof *last);
    }
}

static bool in_heaps(const void *memory) {
    const char *at = memory;
    return at >= region->memory[0] && at < region->memory[HEAPS - 1] + HEAP_BYTES;
}

static void heap_give(void *memory) {
    int heap = (int)(((char *)memory - region->memory[0]) / HEAP_BYTES);
    struct block *block = (struct block *)memory - 1;
    if (!block->used) {
        give_up("memory was freed twice");
    }
    memset(memory, 0, block->bytes - sizeof *block);
    block->used = 0;
    heap_tidy(heap);
}

void world_free_heaps(int process) {
    for (int heap = 0; heap < HEAPS; heap++) {
        if (heap == START_HEAP(process) || (heap < ACTORS && process_of(heap) == process)) {
            memset(region->memory[heap], 0, region->heaps[heap].end);
            region->heaps[heap].end = 0;
        }
    }
}

void *__wrap_malloc(size_t bytes) {
    return heap_in_use < 0 ? __real_malloc(bytes) : heap_take(heap_in_use, bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) { /* free memory is zero already */
    return heap_in_use < 0 ? __real_calloc(count, bytes) : heap_take(heap_in_use, count * bytes);
}

void __wrap_free(void *memory) {
    if (in_heaps(memory)) {
        heap_give(memory);
    } else {
        __real_free(memory);
    }
}

void *__wrap_realloc(void *memory, size_t bytes) {
    if (heap_in_use < 0 && !in_heaps(memory)) {
        return __real_realloc(memory, bytes);
    }
    char *larger = __wrap_malloc(bytes);
    if (memory) {
        size_t before = ((struct block *)memory - 1)->bytes - sizeof(struct block);
        memcpy(larger, memory, before < bytes ? before : bytes);
        __wrap_free(memory);
    }
    return larger;
}

char *__wrap_strndup(const char *text, size_t len) {
    len = strnlen(text, len);
    char *copy = __wrap_malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *__wrap_strdup(const char *text) {
    return __wrap_strndup(text, strlen(text));
}

/* ---- states as bytes ----------------------------------------------------------------------- */

typedef void (*on_range)(void *context, void *at, size_t bytes);

static void visit_memory(struct memory *memory, on_range visit, void *context) {
    visit(context, &memory->count, sizeof memory->count);
    visit(context, memory->rows, (size_t)memory->count * sizeof *memory->rows);
}

static void visit_connection(struct connection *connection, on_range visit, void *context) {
    visit(context, connection, offsetof(struct connection, in));
    visit(context, &connection->in.len, sizeof connection->in.len);
    visit(context, connection->in.bytes, (size_t)connection->in.len);
    visit(context, &connection->out.len, sizeof connection->out.len);
    visit(context, connection->out.bytes, (size_t)connection->out.len);
}

/* Every part of the region that matters. What says how long a part is comes before it, so that the
 * same walk serves to restore. */
static void visit_all(on_range visit, void *context) {
    struct server *server = &world->server;
    visit(context, server, offsetof(struct server, memory));
    visit(context, &server->has_saved, sizeof *server - offsetof(struct server, has_saved));
    visit_memory(&server->memory, visit, context);
    visit_memory(&server->saved, visit, context);
    visit(context, &world->database,
          offsetof(struct world, connections) - offsetof(struct world, database));
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *connection = &world->connections[i];
        visit(context, &connection->used, sizeof connection->used);
        if (connection->used) {
            visit_connection(connection, visit, context);
        }
    }
    visit(context, region->heaps, sizeof region->heaps);
    for (int heap = 0; heap < HEAPS; heap++) {
        visit(context, region->memory[heap], region->heaps[heap].end);
    }
    for (int i = 0; i < ACTORS; i++) {
        if (world->actors[i].body) {
            char *from = world->actors[i].stack_pointer;
            /* Registers; what follows them are those of floating point, as they always were. */
            visit(context, &region->contexts[i], offsetof(ucontext_t, __fpregs_mem));
            visit(context, from, (size_t)(region->stacks[i] + STACK_BYTES - from));
        }
    }
}

static void save_range(void *context, void *at, size_t bytes) {
    struct snapshot *snapshot = context;
    if (snapshot->len + bytes > snapshot->capacity) {
        snapshot->capacity = 2 * (snapshot->len + bytes);
        snapshot->bytes = __real_realloc(snapshot->bytes, snapshot->capacity);
    }
    memcpy(snapshot->bytes + snapshot->len, at, bytes);
    snapshot->len += bytes;
}

void world_save(struct snapshot *snapshot) {
    snapshot->len = 0;
    visit_all(save_range, snapshot);
}

static void restore_range(void *context, void *at, size_t bytes) {
    const char **from = context;
    memcpy(at, *from, bytes);
    *from += bytes;
}

void world_restore(const struct snapshot *snapshot) {
    size_t ends[HEAPS];
    for (int heap = 0; heap < HEAPS; heap++) {
        ends[heap] = region->heaps[heap].end;
    }
    const char *from = snapshot->bytes;
    visit_all(restore_range, &from);
    for (int heap = 0; heap < HEAPS; heap++) { /* free memory is zero */
        size_t end = region->heaps[heap].end;
        if (end < ends[heap]) {
            memset(region->memory[heap] + end, 0, ends[heap] - end);
        }
    }
}

static void hash_range(void *context, void *at, size_t bytes) {
    XXH3_64bits_update(context, at, bytes);
}

uint64_t world_hash(void) {
    static XXH3_state_t *state;
    if (!state) {
        state = XXH3_createState();
    }
    XXH3_64bits_reset(state);
    visit_all(hash_range, state);
    return XXH3_64bits_digest(state);
}
