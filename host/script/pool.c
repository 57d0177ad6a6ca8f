/* pool: shares a few Lua states and database connections among many request threads. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/recent_requests.h"
#include "base/request_steps.h"
#include "base/stop.h"
#include "base/xalloc.h"
#include "script_private.h"

/* A waiting request; on its thread's stack. */
struct waiter {
    pthread_cond_t given;
    struct script_instance *instance; /* NULL: not yet */
    struct waiter *next;
};

struct script_pool {
    struct script_generation *generation;
    pthread_mutex_t lock; /* guards what follows */
    struct script_instance **free;
    size_t free_count;
    size_t size;
    struct waiter *waiting; /* in order of arrival; at most one per request thread */
    struct metric_cell *waiting_requests, *busy;
};

struct script_pool *script_pool_create(struct script_generation *generation, struct err *err) {
    struct script_pool *pool = xcalloc(1, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pool->generation = script_generation_ref(generation);
    pool->size = (size_t)generation->config->http.states;
    pool->free = xcalloc(pool->size, sizeof *pool->free);
    pool->waiting_requests =
        metric_single(METRIC_GAUGE, SCRIPT_WAITING_METRIC, "Requests that wait for a Lua state.");
    pool->busy =
        metric_single(METRIC_GAUGE, "ras_script_busy_states", "Lua states that answer a request.");
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

/* The HTTP server has stopped: no instance is in use. */
void script_pool_destroy(struct script_pool *pool) {
    if (!pool) {
        return;
    }
    for (size_t i = 0; i < pool->free_count; i++) {
        script_instance_destroy(pool->free[i]);
    }
    free(pool->free);
    pthread_mutex_destroy(&pool->lock);
    script_generation_unref(pool->generation);
    free(pool);
}

/* Under the lock. */
static void pool_stop_waiting(struct script_pool *pool, const struct waiter *waiter) {
    struct waiter **at = &pool->waiting;
    while (*at != waiter) {
        at = &(*at)->next;
    }
    *at = waiter->next;
    metric_add(pool->waiting_requests, -1);
}

/* Under the lock: queues until a state is given or the deadline passes. */
static struct script_instance *pool_wait_for_state(struct script_pool *pool, int64_t deadline_us) {
    struct waiter waiter = {.instance = NULL};
    struct waiter **end = &pool->waiting;
    int status = 0;
    while (*end) {
        end = &(*end)->next;
    }
    *end = &waiter;
    metric_add(pool->waiting_requests, 1);
    clock_condition_init(&waiter.given);
    while (!waiter.instance && status == 0) {
        status = clock_condition_wait(&waiter.given, &pool->lock, deadline_us);
    }
    pthread_cond_destroy(&waiter.given);
    if (!waiter.instance) {
        pool_stop_waiting(pool, &waiter);
    }
    return waiter.instance;
}

static struct script_instance *pool_acquire(struct script_pool *pool, int timeout_ms) {
    int64_t began_us = clock_monotonic_us(), deadline_us = began_us + timeout_ms * 1000LL;
    pthread_mutex_lock(&pool->lock);
    struct script_instance *instance = pool->free_count > 0
                                           ? pool->free[--pool->free_count]
                                           : pool_wait_for_state(pool, deadline_us);
    pthread_mutex_unlock(&pool->lock);
    request_steps_add(REQUEST_STATE, began_us);
    return instance;
}

/* To the first in the queue: otherwise the thread that just returned a state would often win. */
static void pool_give(struct script_pool *pool, struct script_instance *instance) {
    struct waiter *first = pool->waiting;
    if (!first) {
        pool->free[pool->free_count++] = instance;
        return;
    }
    pool_stop_waiting(pool, first);
    first->instance = instance;
    pthread_cond_signal(&first->given);
}

/* Replaces a state that hit a limit. If that fails, the state stays and its next request fails too.
 */
static void pool_release(struct script_pool *pool, struct script_instance *instance) {
    if (!script_instance_healthy(instance)) {
        struct err err = {0};
        struct script_instance *fresh = script_instance_create(pool->generation, &err);
        if (fresh) {
            script_instance_destroy(instance);
            instance = fresh;
        } else if (!stop_requested()) {
            log_error("cannot replace a Lua state", LOG_TEXT("error", err.text));
        }
    }
    pthread_mutex_lock(&pool->lock);
    pool_give(pool, instance);
    pthread_mutex_unlock(&pool->lock);
}

enum script_result script_pool_answer(struct script_pool *pool,
                                      const struct script_request *request, int timeout_ms,
                                      struct script_response *response, struct err *err) {
    recent_requests_note();
    struct script_instance *instance = pool_acquire(pool, timeout_ms);
    *response = (struct script_response){0};
    if (!instance) {
        err_set(err, ERR_BUSY, "no Lua state came free in %d ms (http.states)", timeout_ms);
        return SCRIPT_TIMEOUT;
    }
    metric_add(pool->busy, 1);
    enum script_result result = script_answer(instance, request, response, err);
    metric_add(pool->busy, -1);
    pool_release(pool, instance);
    return result;
}
