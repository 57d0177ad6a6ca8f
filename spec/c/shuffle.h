/* shuffle: items in an order that a seed decides. */
#pragma once

#include "test.h"

/* `size`: of an item, 256 bytes at most. */
static inline void shuffle(void *items, size_t count, size_t size, uint32_t *seed) {
    char *bytes = items, kept[256];
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = test_draw(seed, (uint32_t)i + 1);
        memcpy(kept, bytes + i * size, size);
        memmove(bytes + i * size, bytes + j * size, size);
        memcpy(bytes + j * size, kept, size);
    }
}
