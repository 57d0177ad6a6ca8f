/* store: the process level. Entries are found by key, dropped by tag and, above max_bytes, evicted
 * least recently used first. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/xalloc.h"
#include "cache_internal.h"

#ifndef STORE_CHAINS /* spec/c/explore_cache.c has fewer */
#define STORE_CHAINS 65536
#endif

#define BUSY INT64_MAX

struct store_link {
    uint64_t tag;
    struct store_entry *entry;
    struct store_link *next; /* in the bucket */
    struct store_link **at;  /* the pointer to this link */
};

struct store_entry {
    struct store_entry *chain;
    struct store_entry *newer, *older;
    struct cached_response *response;
    struct metric_cell *hits;
    struct store_link *links;
    size_t link_count;
    size_t bytes;
    uint64_t hash;
    uint64_t scripts; /* hash of the scripts that made it */
    uint64_t began;
    struct cache_ages ages;
    int64_t fresh_until_us;
    int64_t expires_us;    /* no longer served, stale or not */
    int64_t refresh_at_us; /* not refreshed before; BUSY: it is being refreshed */
    int64_t failed_until_us;
    size_t key_len;
    char key[];
};

void store_init(struct store *store, size_t max_bytes) {
    *store = (struct store){.max_bytes = max_bytes};
    store->buckets = xcalloc(CACHE_BUCKETS, sizeof *store->buckets);
    store->chains = xcalloc(STORE_CHAINS, sizeof *store->chains);
}

static void cache_store_unuse(struct store *store, struct store_entry *entry) {
    if (entry->newer) {
        entry->newer->older = entry->older;
    } else {
        store->newest = entry->older;
    }
    if (entry->older) {
        entry->older->newer = entry->newer;
    } else {
        store->oldest = entry->newer;
    }
}

static void cache_store_use(struct store *store, struct store_entry *entry) {
    entry->newer = NULL;
    entry->older = store->newest;
    *(store->newest ? &store->newest->newer : &store->oldest) = entry;
    store->newest = entry;
}

static void cache_store_drop(struct store *store, struct store_entry *entry) {
    struct store_entry **at = &store->chains[entry->hash % STORE_CHAINS];
    while (*at != entry) {
        at = &(*at)->chain;
    }
    *at = entry->chain;
    cache_store_unuse(store, entry);
    for (size_t i = 0; i < entry->link_count; i++) {
        struct store_link *link = &entry->links[i];
        *link->at = link->next;
        if (link->next) {
            link->next->at = link->at;
        }
    }
    store->bytes -= entry->bytes;
    cached_response_unref(entry->response);
    free(entry->links);
    free(entry);
}

void store_free(struct store *store) {
    while (store->oldest) {
        cache_store_drop(store, store->oldest);
    }
    free(store->buckets);
    free(store->chains);
}

static struct store_entry *cache_store_find(struct store *store, struct slice key, uint64_t hash) {
    struct store_entry *entry = store->chains[hash % STORE_CHAINS];
    while (entry &&
           !(entry->hash == hash && slice_equal((struct slice){entry->key, entry->key_len}, key))) {
        entry = entry->chain;
    }
    return entry;
}

/* ---- stale responses ------------------------------------------------------------------------ */

/* How long a response is served after it is stale, at most. Without Redis another process may have
 * outdated it. */
static int64_t cache_store_stale_us(const struct store *store, const struct cache_ages *ages) {
    return store->alone && !ages->stale_after_commit ? 0 : (int64_t)cache_stale_s(ages) * 1000000;
}

/* A commit has outdated the entry. True: it is dropped; else it is stale from now on. */
static bool cache_store_outdate(struct store *store, struct store_entry *entry, int64_t now_us) {
    if (!entry->ages.stale_after_commit) {
        cache_store_drop(store, entry);
        return true;
    }
    if (entry->fresh_until_us > now_us) {
        entry->fresh_until_us = now_us;
        entry->expires_us = now_us + cache_store_stale_us(store, &entry->ages);
    }
    return false;
}

static enum store_state cache_store_state(const struct store_entry *entry, int64_t now_us) {
    int64_t revalidate_us = (int64_t)entry->ages.stale_while_revalidate_s * 1000000;
    if (now_us < entry->fresh_until_us) {
        return STORE_FRESH;
    }
    if (now_us - entry->fresh_until_us < revalidate_us) {
        return STORE_STALE;
    }
    return now_us < entry->failed_until_us ? STORE_FAILED : STORE_FALLBACK;
}

/* The entry, unless it may be served no more. */
static struct store_entry *cache_store_find_usable(struct store *store, const struct cache_key *key,
                                                   int64_t now_us) {
    struct store_entry *entry = cache_store_find(store, key->text, hash64(key->text));
    if (!entry || entry->scripts != key->scripts) {
        return NULL;
    }
    if (entry->link_count == 0 && entry->began != store->sequence &&
        cache_store_outdate(store, entry, now_us)) {
        return NULL;
    }
    if (now_us >= entry->expires_us) {
        cache_store_drop(store, entry);
        return NULL;
    }
    return entry;
}

struct store_hit store_find(struct store *store, const struct cache_key *key) {
    struct store_hit hit = {0};
    int64_t now_us = clock_monotonic_us();
    struct store_entry *entry = cache_store_find_usable(store, key, now_us);
    if (!entry) {
        return hit;
    }
    cache_store_unuse(store, entry);
    cache_store_use(store, entry);
    hit.state = cache_store_state(entry, now_us);
    hit.response = cached_response_ref(entry->response);
    hit.wants_refresh = hit.state == STORE_STALE && now_us >= entry->refresh_at_us;
    if (hit.wants_refresh) {
        entry->refresh_at_us = BUSY;
    }
    if (hit.state != STORE_FALLBACK) {
        metric_add(entry->hits, 1);
    }
    return hit;
}

struct cached_response *store_fall_back(struct store *store, const struct cache_key *key) {
    int64_t now_us = clock_monotonic_us();
    struct store_entry *entry = cache_store_find_usable(store, key, now_us);
    if (!entry) {
        return NULL;
    }
    entry->refresh_at_us = entry->failed_until_us = now_us + STORE_RETRY_US;
    return cached_response_ref(entry->response);
}

void store_end_refresh(struct store *store, const struct cache_key *key) {
    int64_t now_us = clock_monotonic_us();
    struct store_entry *entry = cache_store_find_usable(store, key, now_us);
    if (entry && entry->refresh_at_us == BUSY) {
        entry->refresh_at_us = now_us + STORE_RETRY_US;
    }
}

void store_forget(struct store *store, const struct cache_key *key) {
    struct store_entry *entry = cache_store_find_usable(store, key, clock_monotonic_us());
    if (entry) {
        cache_store_drop(store, entry);
    }
}

/* ---- invalidations -------------------------------------------------------------------------- */

bool store_is_stale(const struct store *store, const uint64_t *tags, size_t count, uint64_t began) {
    if (began < store->floor || (count == 0 && began != store->sequence)) {
        return true;
    }
    return store_was_invalidated(store, tags, count, began + 1);
}

bool store_was_invalidated(const struct store *store, const uint64_t *tags, size_t count,
                           uint64_t first) {
    for (size_t i = 0; i < count; i++) {
        if (store->buckets[cache_bucket(tags[i])].sequence >= first) {
            return true;
        }
    }
    return false;
}

static void cache_store_link_tags(struct store *store, struct store_entry *entry,
                                  const uint64_t *tags, size_t count) {
    entry->links = count > 0 ? xcalloc(count, sizeof *entry->links) : NULL;
    entry->link_count = count;
    for (size_t i = 0; i < count; i++) {
        struct store_link *link = &entry->links[i];
        struct store_link **head = &store->buckets[cache_bucket(tags[i])].links;
        *link = (struct store_link){tags[i], entry, *head, head};
        if (*head) {
            (*head)->at = &link->next;
        }
        *head = link;
    }
}

void store_put(struct store *store, const struct cache_key *key, struct cached_response *response,
               const uint64_t *tags, size_t count, uint64_t began, int64_t lifetime_us,
               struct metric_cell *hits) {
    size_t bytes = sizeof(struct store_entry) + key->text.len + sizeof *response +
                   response->body.len + count * sizeof(struct store_link);
    struct cache_ages ages = response->status == 200 ? key->ages : (struct cache_ages){0};
    int64_t stale_us = cache_store_stale_us(store, &ages);
    bool stale = store_is_stale(store, tags, count, began);
    if (stale && ages.stale_after_commit && lifetime_us > 0) {
        lifetime_us = 0;
    }
    if (began < store->floor || (stale && !ages.stale_after_commit) ||
        lifetime_us + stale_us <= 0 || bytes > store->max_bytes) {
        return;
    }
    uint64_t hash = hash64(key->text);
    int64_t fresh_until_us = clock_monotonic_us() + lifetime_us;
    struct store_entry *old = cache_store_find(store, key->text, hash);
    if (old && lifetime_us <= 0 && old->scripts == key->scripts &&
        (old->began > began || old->fresh_until_us > fresh_until_us)) {
        return; /* a newer one is there */
    }
    if (old) {
        cache_store_drop(store, old);
    }
    while (store->bytes + bytes > store->max_bytes) {
        cache_store_drop(store, store->oldest);
    }
    struct store_entry *entry = xcalloc(1, sizeof *entry + key->text.len);
    memcpy(entry->key, key->text.data, key->text.len);
    entry->key_len = key->text.len;
    entry->hash = hash;
    entry->scripts = key->scripts;
    entry->bytes = bytes;
    entry->began = began;
    entry->hits = hits;
    entry->ages = ages;
    entry->fresh_until_us = fresh_until_us;
    entry->expires_us = fresh_until_us + stale_us;
    entry->response = cached_response_ref(response);
    entry->chain = store->chains[hash % STORE_CHAINS];
    store->chains[hash % STORE_CHAINS] = entry;
    cache_store_use(store, entry);
    cache_store_link_tags(store, entry, tags, count);
    store->bytes += bytes;
}

void store_invalidate(struct store *store, const uint64_t *tags, size_t count) {
    store->sequence++;
    for (size_t i = 0; i < count; i++) {
        struct store_bucket *bucket = &store->buckets[cache_bucket(tags[i])];
        bucket->sequence = store->sequence;
        struct store_link *link = bucket->links;
        while (link) {
            /* A dropped entry may have owned the next link, too: start again. */
            bool dropped = link->tag == tags[i] &&
                           cache_store_outdate(store, link->entry, clock_monotonic_us());
            link = dropped ? bucket->links : link->next;
        }
    }
}

void store_reset(struct store *store) {
    store->floor = ++store->sequence;
    while (store->oldest) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop replaces the oldest */
        cache_store_drop(store, store->oldest);
    }
}
