/* cache: combines the two levels, and runs one compute a key at a time. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "cache_internal.h"

/* The longest time that a response is served after a commit that was not announced. */
#define UNANNOUNCED_US 1000000

/* One compute under way. Its leader and each waiter hold a reference. */
struct flight {
    struct flight *next;
    const struct cache_key *key; /* the leader's: valid while the flight is in the list */
    uint64_t began;
    uint64_t pending; /* the first invalidation that Redis had not confirmed at the begin */
    bool usable;      /* whether the cache was, at the begin */
    uint64_t view;    /* the cache's at the begin */
    pthread_cond_t landed;
    int refs;
    bool done;
    struct cached_response *response;
    struct err err;
};

struct cache {
    pthread_mutex_t lock; /* store, flights, pending, subscribed, doubts, view */
    struct store store;
    struct flight *flights;        /* at most one for each request thread */
    struct cache_pending *pending; /* the open ones */
    bool subscribed;     /* invalidations of other processes arrive, or there is no Redis */
    int64_t received_us; /* all invalidations announced before have arrived */
    int doubts;          /* open calls of cache_doubt */
    uint64_t view;       /* 0: unknown */
    bool enabled;
    int ttl_s;
    int redis_timeout_ms;
    char *redis_url;
    cache_listener listener; /* NULL: none */
    void *listener_context;
    struct shared *shared; /* NULL without Redis */
    struct subscriber *subscriber;
    struct metric *hits;
    struct metric *misses;
    struct metric_cell *drops[CACHE_DROPS];
};

static const char *const drop_reasons[CACHE_DROPS] = {
    [CACHE_DROP_SUBSCRIPTION_LOST] = "subscription_lost",
    [CACHE_DROP_REDIS_RESTARTED] = "redis_restarted",
    [CACHE_DROP_NOT_ANNOUNCED] = "not_announced",
    [CACHE_DROP_UNANNOUNCED] = "unannounced",
    [CACHE_DROP_UNSURE] = "unsure",
    [CACHE_DROP_DATABASE_CHANGED] = "database_changed",
};

struct cache *cache_create(const struct cache_options *options, struct err *err) {
    struct cache *cache = xcalloc(1, sizeof *cache);
    bool with_redis = options->enabled && options->redis_url && options->redis_url[0];
    pthread_mutex_init(&cache->lock, NULL);
    store_init(&cache->store, options->max_bytes);
    cache->subscribed = !with_redis;
    cache->enabled = options->enabled;
    cache->ttl_s = options->ttl_s;
    cache->redis_timeout_ms = options->redis_timeout_ms;
    cache->redis_url = xstrdup(with_redis ? options->redis_url : "");
    cache->hits = metric_family(METRIC_COUNTER, "ras_cache_hits_total",
                                "Responses served from a cache, without a query", "cache_type");
    cache->misses = metric_family(METRIC_COUNTER, "ras_cache_misses_total",
                                  "Responses computed by a query", "cache_type");
    struct metric *drops =
        metric_family(METRIC_COUNTER, "ras_cache_drops_total",
                      "Times all cached responses were dropped, by reason", "reason");
    for (size_t i = 0; i < CACHE_DROPS; i++) {
        cache->drops[i] = metric_cell(drops, drop_reasons[i]);
    }
    if (with_redis) {
        cache->shared = shared_create(cache->redis_url, cache->redis_timeout_ms, err);
        if (!cache->shared) {
            cache_destroy(cache);
            return NULL;
        }
    }
    return cache;
}

bool cache_start(struct cache *cache, struct err *err) {
    if (!cache->shared) {
        return true;
    }
    cache->subscriber = subscriber_start(cache->redis_url, cache->redis_timeout_ms, cache, err);
    return cache->subscriber != NULL;
}

void cache_destroy(struct cache *cache) {
    if (!cache) {
        return;
    }
    subscriber_stop(cache->subscriber);
    shared_destroy(cache->shared);
    store_free(&cache->store);
    pthread_mutex_destroy(&cache->lock);
    free(cache->redis_url);
    free(cache);
}

void cache_listen(struct cache *cache, cache_listener listener, void *context) {
    cache->listener = listener;
    cache->listener_context = context;
}

static void cache_tell(const struct cache *cache, const uint64_t *tags, size_t count) {
    if (cache->listener) {
        cache->listener(cache->listener_context, tags, count);
    }
}

static void cache_note_drop(struct cache *cache, enum cache_drop reason) {
    metric_add(cache->drops[reason], 1);
    log_warning("cache dropped all responses: they may be outdated",
                LOG_TEXT("reason", drop_reasons[reason]));
}

void cache_set_subscribed(struct cache *cache, bool subscribed) {
    pthread_mutex_lock(&cache->lock);
    cache->subscribed = subscribed;
    cache->received_us = clock_monotonic_us();
    store_reset(&cache->store); /* earlier invalidations were missed */
    pthread_mutex_unlock(&cache->lock);
    cache_tell(cache, NULL, 0);
    if (!subscribed) { /* the subscriber logs the reason */
        metric_add(cache->drops[CACHE_DROP_SUBSCRIPTION_LOST], 1);
    }
}

void cache_set_received(struct cache *cache, int64_t until_us) {
    pthread_mutex_lock(&cache->lock);
    cache->received_us = until_us;
    pthread_mutex_unlock(&cache->lock);
}

void cache_set_view(struct cache *cache, uint64_t view) {
    pthread_mutex_lock(&cache->lock);
    bool is_other = cache->view != 0 && cache->view != view;
    if (is_other) {
        store_reset(&cache->store);
    }
    cache->view = view;
    pthread_mutex_unlock(&cache->lock);
    if (is_other) {
        cache_tell(cache, NULL, 0);
        cache_note_drop(cache, CACHE_DROP_DATABASE_CHANGED);
    }
}

void cache_doubt(struct cache *cache, bool doubtful, enum cache_drop reason) {
    pthread_mutex_lock(&cache->lock);
    cache->doubts += doubtful ? 1 : -1;
    store_reset(&cache->store);
    pthread_mutex_unlock(&cache->lock);
    cache_tell(cache, NULL, 0);
    if (doubtful && reason != CACHE_DROP_NONE) {
        cache_note_drop(cache, reason);
    }
}

void cache_drop_uncounted(struct cache *cache) {
    pthread_mutex_lock(&cache->lock);
    store_reset(&cache->store);
    pthread_mutex_unlock(&cache->lock);
    cache_tell(cache, NULL, 0);
}

void cache_drop_all(struct cache *cache, enum cache_drop reason) {
    cache_drop_uncounted(cache);
    cache_note_drop(cache, reason);
}

/* Under the lock. A frozen process or a slow connection may have missed invalidations. */
static bool cache_is_usable(const struct cache *cache) {
    bool current = !cache->subscriber || clock_monotonic_us() - cache->received_us < UNANNOUNCED_US;
    return cache->subscribed && cache->doubts == 0 && current;
}

bool cache_hears(struct cache *cache) {
    pthread_mutex_lock(&cache->lock);
    bool hears = cache->subscriber && cache_is_usable(cache);
    pthread_mutex_unlock(&cache->lock);
    return hears;
}

struct cached_response *cache_lookup(struct cache *cache, const struct cache_key *key) {
    if (!cache->enabled) {
        return NULL;
    }
    pthread_mutex_lock(&cache->lock);
    struct cached_response *response =
        cache_is_usable(cache) ? store_find(&cache->store, key) : NULL;
    pthread_mutex_unlock(&cache->lock);
    return response;
}

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

static struct flight *cache_flight_begin(struct cache *cache, const struct cache_key *key) {
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

static struct flight *cache_flight_find(struct cache *cache, const struct cache_key *key) {
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

static struct cached_response *cache_flight_wait(struct cache *cache, struct flight *flight,
                                                 int timeout_ms, struct err *err) {
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
    } else if (flight->response) {
        response = cached_response_ref(flight->response);
    } else {
        *err = flight->err;
    }
    cache_flight_release(flight);
    return response;
}

/* Under the lock: removes the flight from the list and wakes its waiters. */
static void cache_flight_land(struct cache *cache, struct flight *flight,
                              struct cached_response *response, const struct err *err) {
    struct flight **at = &cache->flights;
    while (*at != flight) {
        at = &(*at)->next;
    }
    *at = flight->next;
    flight->done = true;
    flight->response = response ? cached_response_ref(response) : NULL;
    flight->err = *err;
    pthread_cond_broadcast(&flight->landed);
    cache_flight_release(flight);
}

static int64_t cache_lifetime_of(const struct cache *cache,
                                 const struct cached_response *response) {
    int64_t lifetime_us = (int64_t)cache->ttl_s * 1000000;
    int64_t short_us = lifetime_us < UNANNOUNCED_US ? lifetime_us : UNANNOUNCED_US;
    if (response->status == 200) {
        return cache->shared ? lifetime_us : short_us;
    }
    return response->status == 404 ? short_us : 0;
}

/* Ignores a response that a commit of this process invalidated and Redis has not confirmed. */
static void cache_find_in_redis(struct cache *cache, const struct flight *flight,
                                struct shared_hit *hit) {
    shared_get(cache->shared, flight->key, flight->view, hit);
    if (!hit->response) {
        return;
    }
    pthread_mutex_lock(&cache->lock);
    bool outdated =
        store_was_invalidated(&cache->store, hit->tags, hit->tag_count, flight->pending);
    pthread_mutex_unlock(&cache->lock);
    if (outdated) {
        cached_response_unref(hit->response);
        free(hit->tags);
        *hit = (struct shared_hit){.reachable = hit->reachable, .sequence = hit->sequence};
    }
}

/* Looks in Redis, then computes. Later callers of the key join the flight. */
static struct cached_response *cache_lead(struct cache *cache, struct flight *flight,
                                          cache_compute compute, void *context, struct err *err) {
    const struct cache_key *key = flight->key;
    uint64_t began = flight->began, view = flight->view; /* landing may free the flight */
    struct shared_hit hit = {0};
    struct metric_cell *hits = metric_cell(cache->hits, key->type);
    /* Without a subscription, Redis may have restarted with old contents. */
    if (cache->shared && flight->usable && view != 0) {
        cache_find_in_redis(cache, flight, &hit);
    }
    bool computed = !hit.response;
    struct err failure = {0};
    metric_add(computed ? metric_cell(cache->misses, key->type) : hits, 1);
    if (computed) {
        hit.response = compute(context, &hit.tags, &hit.tag_count, &failure);
        hit.lifetime_us = hit.response ? cache_lifetime_of(cache, hit.response) : 0;
    }
    pthread_mutex_lock(&cache->lock);
    /* A stale response is not stored in Redis either: after a failover Redis may have lost the
     * invalidation, but this process has then lost its subscription. */
    bool fresh = hit.response && cache_is_usable(cache) &&
                 !store_is_stale(&cache->store, hit.tags, hit.tag_count, began);
    if (fresh) {
        store_put(&cache->store, key, hit.response, hit.tags, hit.tag_count, began, hit.lifetime_us,
                  hits);
    }
    cache_flight_land(cache, flight, hit.response, &failure);
    pthread_mutex_unlock(&cache->lock);
    if (computed && fresh && hit.reachable && hit.response->status == 200 && hit.tag_count > 0 &&
        cache->ttl_s > 0) {
        shared_put(cache->shared, key, view, &hit, cache->ttl_s);
    }
    free(hit.tags);
    if (!hit.response) {
        *err = failure;
    }
    return hit.response;
}

struct cached_response *cache_get(struct cache *cache, const struct cache_key *key, int timeout_ms,
                                  cache_compute compute, void *context, struct err *err) {
    if (!cache->enabled || !key->text.data) {
        uint64_t *tags = NULL;
        size_t count = 0;
        struct cached_response *response = compute(context, &tags, &count, err);
        free(tags);
        return response;
    }
    pthread_mutex_lock(&cache->lock);
    struct cached_response *response =
        cache_is_usable(cache) ? store_find(&cache->store, key) : NULL;
    if (response) {
        pthread_mutex_unlock(&cache->lock);
        return response;
    }
    struct flight *flight = cache_flight_find(cache, key);
    if (flight) {
        response = cache_flight_wait(cache, flight, timeout_ms, err);
        pthread_mutex_unlock(&cache->lock);
        if (response) {
            metric_add(metric_cell(cache->hits, key->type), 1);
        }
        return response;
    }
    flight = cache_flight_begin(cache, key);
    pthread_mutex_unlock(&cache->lock);
    return cache_lead(cache, flight, compute, context, err);
}

void cache_invalidate(struct cache *cache, const uint64_t *tags, size_t count) {
    cache_invalidate_pending(cache, tags, count, NULL);
}

void cache_invalidate_pending(struct cache *cache, const uint64_t *tags, size_t count,
                              struct cache_pending *pending) {
    if (count == 0) {
        return;
    }
    if (!cache->enabled) {
        cache_tell(cache, tags, count);
        return;
    }
    pthread_mutex_lock(&cache->lock);
    store_invalidate(&cache->store, tags, count);
    if (pending && pending->first > 0) {
        pending->newer = cache->store.sequence;
    } else if (pending) {
        pending->first = cache->store.sequence;
        pending->next = cache->pending;
        cache->pending = pending;
    }
    pthread_mutex_unlock(&cache->lock);
    cache_tell(cache, tags, count);
}

void cache_end_pending(struct cache *cache, struct cache_pending *pending) {
    pthread_mutex_lock(&cache->lock);
    struct cache_pending **at = &cache->pending;
    pending->first = pending->newer;
    pending->newer = 0;
    while (*at && *at != pending) {
        at = &(*at)->next;
    }
    if (*at && pending->first == 0) {
        *at = pending->next;
    }
    pthread_mutex_unlock(&cache->lock);
}

bool cache_uses_redis(const struct cache *cache) {
    return cache->shared != NULL;
}
