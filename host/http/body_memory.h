/* body_memory: the memory of a request's body. All bodies together are bounded by the lengths that
 * their heads announce, so that each body that was begun has room; pages are used as they are
 * received, and returned to the system with the body. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "base/slice.h"

/* Shared by the loops of a server. */
struct body_budget {
    size_t max_bytes;
    _Atomic size_t used_bytes;
    struct metric_cell *used; /* gauge */
};

struct body_memory {
    struct body_budget *budget; /* NULL: there is none */
    char *data;
    size_t len; /* received */
    size_t cap; /* announced */
    bool mapped;
};

void body_budget_init(struct body_budget *budget, size_t max_bytes);
/* False: the budget has no room for so many bytes, or the system has none. */
bool body_memory_take(struct body_memory *memory, struct body_budget *budget, size_t bytes);
/* Empties it. */
void body_memory_release(struct body_memory *memory);
/* What was received; "" if nothing. */
struct slice body_memory_slice(const struct body_memory *memory);
