/* cache_keys: the keys of the cache's tests. */
#pragma once

#include "cache/cache.h"

static inline struct cache_key key_of(const char *text) {
    return (struct cache_key){.text = slice_of(text), .type = "test", .scripts = 1};
}
