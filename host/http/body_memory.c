#include "body_memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/xalloc.h"

#define MAPPED_BYTES 65536 /* of smaller ones the system calls would cost more than the rest */

void body_budget_init(struct body_budget *budget, size_t max_bytes) {
    budget->max_bytes = max_bytes;
    atomic_init(&budget->used_bytes, 0);
    budget->used = metric_single(METRIC_GAUGE, "ras_http_request_body_bytes",
                                 "Announced bytes of the request bodies under way.");
}

static bool body_budget_take(struct body_budget *budget, size_t bytes) {
    size_t used = atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    bool fits = used + bytes <= budget->max_bytes;
    if (!fits) {
        atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    }
    return fits;
}

/* The pages of a mapping take memory once they are written to: a length that is only announced
 * takes none. malloc would keep what it once had. NULL: the system has none. */
static void *body_memory_map(size_t bytes) {
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

bool body_memory_take(struct body_memory *memory, struct body_budget *budget, size_t bytes) {
    if (!body_budget_take(budget, bytes)) {
        return false;
    }
    bool mapped = bytes >= MAPPED_BYTES;
    void *data = mapped ? body_memory_map(bytes) : xcalloc(1, bytes);
    if (!data) {
        atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
        return false;
    }
    metric_add(budget->used, (double)bytes);
    *memory = (struct body_memory){budget, data, 0, bytes, mapped};
    return true;
}

void body_memory_release(struct body_memory *memory) {
    if (memory->budget) {
        if (memory->mapped) {
            munmap(memory->data, memory->cap);
        } else {
            free(memory->data);
        }
        atomic_fetch_sub_explicit(&memory->budget->used_bytes, memory->cap, memory_order_relaxed);
        metric_add(memory->budget->used, -(double)memory->cap);
    }
    *memory = (struct body_memory){0};
}

struct slice body_memory_slice(const struct body_memory *memory) {
    return memory->data ? (struct slice){memory->data, memory->len} : (struct slice){"", 0};
}
