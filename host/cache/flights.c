/* flights: one compute a key at a time, and the callers that wait for it. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "cache_internal.h"

static void cache_flight_release(struct flight *flight) {
    if (--flight->refs == 0) {
        cached_response_unref(flight->response);
        pthread_cond_destroy(&flight->landed);
        free(flight);
    }
}

static uint64_t cache_first_pending(const struct cache *cache) {
    uint64_t first = UINT64_MAX;
    for (const struct cache_pending *at = cache->pending; at; at = at->next) {
        first = at->first < first ? at->first : first;
    }
    return first;
}

struct flight *cache_flight_begin(struct cache *cache, const struct cache_key *key) {
    struct flight *flight = xcalloc(1, sizeof *flight);
    clock_condition_init(&flight->landed);
    flight->key = key;
    flight->began = cache->store.sequence;
    flight->pending = cache_first_pending(cache);
    flight->usable = cache_is_usable(cache);
    flight->view = cache->view;
    flight->refs = 1;
    flight->next = cache->flights;
    cache->flights = flight;
    return flight;
}

struct flight *cache_flight_find(struct cache *cache, const struct cache_key *key) {
    struct flight *flight = cache->flights;
    /* The tags of a flight are unknown until it lands: any invalidation since its begin makes it
     * too old to join. */
    while (flight &&
           (flight->began != cache->store.sequence || flight->key->scripts != key->scripts ||
            !slice_equal(flight->key->text, key->text))) {
        flight = flight->next;
    }
    return flight;
}

struct cached_response *cache_flight_wait(struct cache *cache, struct flight *flight,
                                          int timeout_ms, bool *failed, struct err *err) {
    int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    int rc = 0;
    flight->refs++;
    while (!flight->done && rc != ETIMEDOUT) {
        rc = clock_condition_wait(&flight->landed, &cache->lock, deadline_us);
    }
    struct cached_response *response = NULL;
    if (!flight->done) {
        err_set(err, ERR_TIMEOUT, "no response within %d ms (computed by another request)",
                timeout_ms);
    } else {
        response = flight->response ? cached_response_ref(flight->response) : NULL;
        *failed = flight->failed;
        if (flight->failed || !response) {
            *err = flight->err;
        }
    }
    cache_flight_release(flight);
    return response;
}

void cache_flight_land(struct cache *cache, struct flight *flight) {
    struct flight **at = &cache->flights;
    while (*at != flight) {
        at = &(*at)->next;
    }
    *at = flight->next;
    flight->done = true;
    pthread_cond_broadcast(&flight->landed);
    cache_flight_release(flight);
}
