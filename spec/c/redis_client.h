/* redis_client: a client of Redis, which a test cannot go on without. */
#pragma once

#include "bindings/redis.h"
#include "test.h"

static inline struct redis *create(const char *url, int timeout_ms) {
    struct err err = {0};
    struct redis *redis = redis_create(url, timeout_ms, &err);
    if (!redis) {
        TEST_FAIL("%s", err.text);
        abort();
    }
    return redis;
}
