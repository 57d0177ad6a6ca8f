/* pool: few Lua states and database connections for many request threads. */
#include <pthread.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/xalloc.h"
#include "script_private.h"

struct script_pool {
    struct script_generation *generation;
    pthread_mutex_t lock; /* guards the free list */
    pthread_cond_t came_free;
    struct script_instance **free;
    size_t free_count;
    size_t size;
};

struct script_pool *script_pool_create(struct script_generation *generation, struct err *err) {
    struct script_pool *pool = xcalloc(1, sizeof *pool);
    clock_condition_init(&pool->came_free);
    pthread_mutex_init(&pool->lock, NULL);
    pool->generation = script_generation_ref(generation);
    pool->size = (size_t)generation->config->http.states;
    pool->free = xcalloc(pool->size, sizeof *pool->free);
    while (pool->free_count < pool->size) {
        struct script_instance *instance = script_instance_create(generation, err);
        if (!instance) {
            script_pool_destroy(pool);
            return NULL;
        }
        pool->free[pool->free_count++] = instance;
    }
    return pool;
}

/* Every instance is back: the HTTP server has stopped. */
void script_pool_destroy(struct script_pool *pool) {
    if (!pool) {
        return;
    }
    for (size_t i = 0; i < pool->free_count; i++) {
        script_instance_destroy(pool->free[i]);
    }
    free(pool->free);
    pthread_cond_destroy(&pool->came_free);
    pthread_mutex_destroy(&pool->lock);
    script_generation_unref(pool->generation);
    free(pool);
}

static struct script_instance *acquire(struct script_pool *pool, int timeout_ms) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    struct script_instance *instance = NULL;
    int status = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->free_count == 0 && status == 0) {
        status = clock_condition_wait(&pool->came_free, &pool->lock, deadline_us);
    }
    if (pool->free_count > 0) {
        instance = pool->free[--pool->free_count];
    }
    pthread_mutex_unlock(&pool->lock);
    return instance;
}

/* A state that hit a limit is replaced; if that fails it stays, and fails its next request too. */
static void release(struct script_pool *pool, struct script_instance *instance) {
    if (!script_instance_healthy(instance)) {
        struct err err = {0};
        struct script_instance *fresh = script_instance_create(pool->generation, &err);
        if (fresh) {
            script_instance_destroy(instance);
            instance = fresh;
        } else {
            log_error("a script state could not be replaced", LOG_TEXT("error", err.text));
        }
    }
    pthread_mutex_lock(&pool->lock);
    pool->free[pool->free_count++] = instance;
    pthread_cond_signal(&pool->came_free);
    pthread_mutex_unlock(&pool->lock);
}

enum script_result script_pool_answer(struct script_pool *pool,
                                      const struct script_request *request, int timeout_ms,
                                      struct script_response *response, struct err *err) {
    struct script_instance *instance = acquire(pool, timeout_ms);
    *response = (struct script_response){0};
    if (!instance) {
        err_set(err, ERR_TIMEOUT, "no script state came free in %d ms", timeout_ms);
        return SCRIPT_TIMEOUT;
    }
    enum script_result result = script_answer(instance, request, response, err);
    release(pool, instance);
    return result;
}
