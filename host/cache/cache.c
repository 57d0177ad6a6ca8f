/* cache: combines the two levels, and runs one compute a key at a time. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "bindings/pg_reads.h"
#include "cache_internal.h"

/* The longest time that a response is served after a commit that was not announced. */
#define UNANNOUNCED_US 1000000

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
    cache->store.alone = !with_redis;
    cache->subscribed = !with_redis;
    cache->id = cache_make_id();
    cache->enabled = options->enabled;
    cache->ttl_s = options->ttl_s;
    cache->redis_timeout_ms = options->redis_timeout_ms;
    cache->redis_url = xstrdup(with_redis ? options->redis_url : "");
    cache->hits = metric_family(METRIC_COUNTER, "ras_cache_hits_total",
                                "Responses served from a cache, without a query", "cache_type");
    cache->misses = metric_family(METRIC_COUNTER, "ras_cache_misses_total",
                                  "Responses computed by a query", "cache_type");
    cache->stale = metric_family(METRIC_COUNTER, "ras_cache_stale_total",
                                 "Stale responses served, by reason: `refresh` while one was "
                                 "computed, `error` because none could be",
                                 "cache_type,reason");
    cache->refreshes = metric_family(METRIC_COUNTER, "ras_cache_refreshes_total",
                                     "Stale responses computed again in the background, by result",
                                     "cache_type,result");
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
    pg_reads_forget();          /* with their positions */
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
        pg_reads_forget(); /* positions of another database say nothing of this one */
    }
    cache->view = view;
    pthread_mutex_unlock(&cache->lock);
    if (is_other) {
        cache_tell(cache, NULL, 0);
        cache_note_drop(cache, CACHE_DROP_DATABASE_CHANGED);
    }
}

void cache_note_position(struct cache *cache, uint64_t view, struct slice text) {
    struct pg_position position;
    pthread_mutex_lock(&cache->lock);
    bool is_of_view = view == cache->view;
    pthread_mutex_unlock(&cache->lock);
    if (is_of_view && pg_position_parse(text, &position)) {
        pg_reads_announce(position);
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

/* A frozen process or a slow connection may have missed invalidations, and so has a subscription to
 * a server that another one has replaced. */
bool cache_is_usable(const struct cache *cache) {
    bool current =
        !cache->subscriber || (clock_monotonic_us() - cache->received_us < UNANNOUNCED_US &&
                               subscriber_is_current(cache->subscriber));
    return cache->subscribed && cache->doubts == 0 && current;
}

bool cache_hears(struct cache *cache) {
    pthread_mutex_lock(&cache->lock);
    bool hears = cache->subscriber && cache_is_usable(cache);
    pthread_mutex_unlock(&cache->lock);
    return hears;
}

/* ---- lookups -------------------------------------------------------------------------------- */

/* Under the lock: what the process level has for a request, and how it is served. NULL: it has to
 * be computed. */
static struct cached_response *cache_find(struct cache *cache, const struct cache_key *key,
                                          struct cache_serving *serving) {
    *serving = (struct cache_serving){0};
    if (!cache_is_usable(cache)) {
        return NULL;
    }
    struct store_hit hit = store_find(&cache->store, key);
    if (hit.response && hit.state == STORE_FALLBACK) {
        cached_response_unref(hit.response);
        return NULL;
    }
    serving->stale = hit.response && hit.state != STORE_FRESH;
    serving->wants_refresh = hit.wants_refresh;
    serving->failed = hit.response && hit.state == STORE_FAILED;
    return hit.response;
}

/* Without the lock. */
static void cache_count_stale(struct cache *cache, const struct cache_key *key,
                              const struct cache_serving *serving) {
    if (serving->stale) {
        metric_add(metric_cell(cache->stale, key->type, serving->failed ? "error" : "refresh"), 1);
    }
}

struct cached_response *cache_lookup(struct cache *cache, const struct cache_key *key,
                                     struct cache_serving *serving) {
    *serving = (struct cache_serving){0};
    if (!cache->enabled) {
        return NULL;
    }
    pthread_mutex_lock(&cache->lock);
    struct cached_response *response = cache_find(cache, key, serving);
    pthread_mutex_unlock(&cache->lock);
    cache_count_stale(cache, key, serving);
    return response;
}

/* ---- computing ------------------------------------------------------------------------------ */

static int cache_ttl_s(const struct cache *cache, const struct cache_key *key) {
    return cache->ttl_s > 0 && key->ages.ttl_s > 0 ? key->ages.ttl_s : cache->ttl_s;
}

static int64_t cache_lifetime_of(const struct cache *cache, const struct cache_key *key,
                                 const struct cached_response *response) {
    int64_t lifetime_us = (int64_t)cache_ttl_s(cache, key) * 1000000;
    int64_t short_us = lifetime_us < UNANNOUNCED_US ? lifetime_us : UNANNOUNCED_US;
    if (response->status == 200) {
        return cache->shared ? lifetime_us : short_us;
    }
    return response->status == 404 ? short_us : 0;
}

static void cache_forget_hit(struct shared_hit *hit) {
    cached_response_unref(hit->response);
    free(hit->tags);
    *hit = (struct shared_hit){.reachable = hit->reachable, .sequence = hit->sequence};
}

/* Ignores a response that a commit of this process invalidated and Redis has not confirmed, and one
 * that was read from a server that has taken over meanwhile: that server may have lost
 * invalidations. A stale one goes into the process level, as a fallback, and is a miss. */
static void cache_find_in_redis(struct cache *cache, const struct flight *flight,
                                struct shared_hit *hit) {
    const struct cache_key *key = flight->key;
    shared_get(cache->shared, key, flight->view, hit);
    if (!hit->response) {
        return;
    }
    hit->response->made_us =
        clock_monotonic_us() + hit->lifetime_us - (int64_t)cache_ttl_s(cache, key) * 1000000;
    pthread_mutex_lock(&cache->lock);
    bool outdated =
        !cache_is_usable(cache) || flight->began < cache->store.floor ||
        store_was_invalidated(&cache->store, hit->tags, hit->tag_count, flight->pending);
    if (!outdated && hit->lifetime_us <= 0) {
        store_put(&cache->store, key, hit->response, hit->tags, hit->tag_count, flight->began,
                  hit->lifetime_us, metric_cell(cache->hits, key->type));
    }
    pthread_mutex_unlock(&cache->lock);
    if (outdated || hit->lifetime_us <= 0) {
        cache_forget_hit(hit);
    }
}

/* Under the lock: a failed compute gives the stale response, where there is one. */
static void cache_fall_back(struct cache *cache, struct flight *flight, struct shared_hit *hit) {
    struct cached_response *stale =
        cache_is_usable(cache) ? store_fall_back(&cache->store, flight->key) : NULL;
    if (stale) {
        if (hit->response) {
            err_set(&flight->err, ERR_UNAVAILABLE, "the route responded with status %d",
                    hit->response->status);
        }
        cached_response_unref(hit->response);
        hit->response = stale;
        flight->failed = true;
    }
}

/* Under the lock: keeps what was found or computed. False: Redis must not have it either. After a
 * failover Redis may have lost the invalidation that made it stale, but this process has then lost
 * its subscription. */
static bool cache_keep(struct cache *cache, struct flight *flight, struct shared_hit *hit) {
    const struct cache_key *key = flight->key;
    bool usable = hit->response && cache_is_usable(cache);
    bool fresh = usable && !store_is_stale(&cache->store, hit->tags, hit->tag_count, flight->began);
    if (!hit->response || hit->response->status >= 500) {
        cache_fall_back(cache, flight, hit);
    } else if (hit->lifetime_us <= 0) {
        store_forget(&cache->store, key);
    } else if (usable) {
        store_put(&cache->store, key, hit->response, hit->tags, hit->tag_count, flight->began,
                  hit->lifetime_us, metric_cell(cache->hits, key->type));
    }
    return fresh && !flight->failed && hit->response->status == 200;
}

/* Looks in Redis, then computes. Later callers of the key join the flight. */
static struct cached_response *cache_lead(struct cache *cache, struct flight *flight,
                                          cache_compute compute, void *context, bool *failed,
                                          struct err *err) {
    const struct cache_key *key = flight->key;
    uint64_t view = flight->view; /* landing may free the flight */
    struct shared_hit hit = {0};
    /* Without a subscription, Redis may have restarted with old contents. */
    if (cache->shared && flight->usable && view != 0) {
        cache_find_in_redis(cache, flight, &hit);
    }
    bool computed = !hit.response;
    metric_add(metric_cell(computed ? cache->misses : cache->hits, key->type), 1);
    if (computed) {
        hit.response = compute(context, &hit.tags, &hit.tag_count, &flight->err);
        hit.lifetime_us = hit.response ? cache_lifetime_of(cache, key, hit.response) : 0;
    }
    pthread_mutex_lock(&cache->lock);
    bool kept = cache_keep(cache, flight, &hit);
    flight->response = hit.response ? cached_response_ref(hit.response) : NULL;
    *failed = flight->failed;
    if (flight->failed || !hit.response) {
        *err = flight->err;
    }
    cache_flight_land(cache, flight);
    pthread_mutex_unlock(&cache->lock);
    if (computed && kept && hit.reachable && hit.tag_count > 0 && hit.lifetime_us > 0) {
        shared_put(cache->shared, key, view, &hit,
                   cache_ttl_s(cache, key) + cache_stale_s(&key->ages));
    }
    free(hit.tags);
    return hit.response;
}

/* Without the cache. */
static struct cached_response *cache_compute_alone(cache_compute compute, void *context,
                                                   struct err *err) {
    uint64_t *tags = NULL;
    size_t count = 0;
    struct cached_response *response = compute(context, &tags, &count, err);
    free(tags);
    return response;
}

struct cached_response *cache_get(struct cache *cache, const struct cache_key *key, int timeout_ms,
                                  cache_compute compute, void *context,
                                  struct cache_serving *serving, struct err *err) {
    *serving = (struct cache_serving){0};
    if (!cache->enabled || !key->text.data) {
        return cache_compute_alone(compute, context, err);
    }
    pthread_mutex_lock(&cache->lock);
    struct cached_response *response = cache_find(cache, key, serving);
    struct flight *joined = response ? NULL : cache_flight_find(cache, key);
    struct flight *led = response || joined ? NULL : cache_flight_begin(cache, key);
    if (joined) {
        response = cache_flight_wait(cache, joined, timeout_ms, &serving->failed, err);
    }
    pthread_mutex_unlock(&cache->lock);
    if (led) {
        response = cache_lead(cache, led, compute, context, &serving->failed, err);
    } else if (joined && response) {
        metric_add(metric_cell(cache->hits, key->type), 1);
    }
    serving->stale = serving->stale || serving->failed;
    cache_count_stale(cache, key, serving);
    return response;
}

bool cache_refresh(struct cache *cache, const struct cache_key *key, cache_compute compute,
                   void *context, struct err *err) {
    bool failed = false;
    pthread_mutex_lock(&cache->lock);
    struct flight *flight = cache_flight_begin(cache, key);
    pthread_mutex_unlock(&cache->lock);
    struct cached_response *response = cache_lead(cache, flight, compute, context, &failed, err);
    bool good = response && !failed;
    cached_response_unref(response);
    cache_cancel_refresh(cache, key);
    metric_add(metric_cell(cache->refreshes, key->type, good ? "good" : "failed"), 1);
    return good;
}

void cache_cancel_refresh(struct cache *cache, const struct cache_key *key) {
    pthread_mutex_lock(&cache->lock);
    store_end_refresh(&cache->store, key);
    pthread_mutex_unlock(&cache->lock);
}

/* ---- invalidations -------------------------------------------------------------------------- */

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
