/* mutations: see mutations.h: replaced texts in the scripts, and functions of the code under test
 * that are called through here (the linker's --wrap). */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "cache/cache_internal.h"
#include "world.h"

enum mutation mutation;
bool mutation_applied;

#define ALONE true
#define COVERED false
static const struct {
    const char *name, *text;
    bool alone;
} named[MUTATIONS] = {
    {"NO_MUTATION", "", false},
#define MUTATION(name, alone, text) {#name, text, alone},
#include "mutations.h"
#undef MUTATION
};

const char *mutation_name(enum mutation of, const char **text) {
    *text = named[of].text;
    return named[of].name;
}

bool mutation_is_covered(enum mutation of) {
    return !named[of].alone;
}

/* ---- in scripts ---------------------------------------------------------------------------- */

static const struct {
    enum mutation of;
    const char *found, *instead;
} replaced[] = {
    {NO_RECENT_CHECK, "if tags[string.sub(invalidation, at, at + 7)] then return 0 end", ""},
    {NO_NUMBER_CHECK, "if seq < began then return 0 end", ""},
    {NO_FLOOR_AT_STORE,
     "if tonumber(redis.call('GET', 'ras:cache:floor') or '0') > began then "
     "return 0 end",
     ""},
    {NO_GUARD_AT_STORE, "local began = tonumber(ARGV[3])", "local began = 1e16"},
    {NO_GUARD_AT_STORE, "if seq < began then return 0 end", ""},
    {NO_DELETION, "redis.call('DEL', unpack(gone))", ""},
    {NO_RECENT, "redis.call('ZADD', KEYS[2], seq, seq .. ARGV[2])", ""},
    {NO_PUBLISH, "redis.call('PUBLISH', 'ras:cache:invalidated', ARGV[2])", ""},
    {NO_PUBLISHED_DROP, "redis.call('PUBLISH', 'ras:cache:invalidated', '')", ""},
    {NO_GAP, "if held == ARGV[i + 1] then", "if true then"},
    {NO_CHAIN, "if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then", "if false then"},
    {NO_RUN, "if run and before == run then", "if before then"},
    {NO_FLOOR_AFTER_LOSS, "if not before then redis.call('SET', 'ras:cache:floor', seq) end", ""},
};

char *mutation_of_script(struct slice script, size_t *len) {
    char *text = xstrndup(script.data, script.len);
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) {
        char *at = replaced[i].of == mutation ? strstr(text, replaced[i].found) : NULL;
        if (at) {
            size_t found = strlen(replaced[i].found), instead = strlen(replaced[i].instead);
            memmove(at + instead, at + found, strlen(at + found) + 1);
            memcpy(at, replaced[i].instead, instead);
            mutation_applied = true;
        }
    }
    *len = strlen(text);
    return text;
}

/* ---- in C ---------------------------------------------------------------------------------- */

void __real_cache_set_subscribed(struct cache *cache, bool hearing);
void __wrap_cache_set_subscribed(struct cache *cache, bool hearing);
void __real_cache_doubt(struct cache *cache, bool doubtful, enum cache_drop reason);
void __wrap_cache_doubt(struct cache *cache, bool doubtful, enum cache_drop reason);
void __real_cache_invalidate(struct cache *cache, const uint64_t *tags, size_t count);
void __wrap_cache_invalidate(struct cache *cache, const uint64_t *tags, size_t count);
void __real_cache_invalidate_pending(struct cache *cache, const uint64_t *tags, size_t count,
                                     struct cache_pending *pending);
void __wrap_cache_invalidate_pending(struct cache *cache, const uint64_t *tags, size_t count,
                                     struct cache_pending *pending);
void __real_cache_end_pending(struct cache *cache, struct cache_pending *pending);
void __wrap_cache_end_pending(struct cache *cache, struct cache_pending *pending);
void __real_cache_drop_uncounted(struct cache *cache);
void __wrap_cache_drop_uncounted(struct cache *cache);
void __real_store_reset(struct store *store);
void __wrap_store_reset(struct store *store);
bool __real_store_is_stale(const struct store *store, const uint64_t *tags, size_t count,
                           uint64_t began);
bool __wrap_store_is_stale(const struct store *store, const uint64_t *tags, size_t count,
                           uint64_t began);
static bool in_hearing;

bool mutation_is(enum mutation of) {
    mutation_applied |= mutation == of;
    return mutation == of;
}

static bool is_subscriber(void) {
    return actor_running % ACTORS_A_PROCESS == SUBSCRIBER;
}

void __wrap_cache_set_subscribed(struct cache *cache, bool hearing) {
    if (!hearing && mutation_is(NO_BYPASS)) {
        return;
    }
    in_hearing = true;
    __real_cache_set_subscribed(cache, hearing);
    in_hearing = false;
}

void __wrap_store_reset(struct store *store) {
    if (!(in_hearing && mutation_is(NO_RESET))) {
        __real_store_reset(store);
    }
}

/* By an auditor, or for one that starts; else by a writer. */
void __wrap_cache_doubt(struct cache *cache, bool doubtful, enum cache_drop reason) {
    bool audits = actor_running < 0 || actor_running % ACTORS_A_PROCESS == AUDITOR;
    if (audits) {
        int process = actor_running < 0 ? process_starting : process_of(actor_running);
        world->processes[process].audit_doubtful = doubtful;
    }
    if (!mutation_is(audits ? NO_DOUBT_OF_AUDITOR : NO_DOUBT)) {
        __real_cache_doubt(cache, doubtful, reason);
    }
}

void __wrap_cache_invalidate(struct cache *cache, const uint64_t *tags, size_t count) {
    if (!mutation_is(NO_RECEPTION)) {
        __real_cache_invalidate(cache, tags, count);
    }
}

void __wrap_cache_invalidate_pending(struct cache *cache, const uint64_t *tags, size_t count,
                                     struct cache_pending *pending) {
    if (!mutation_is(NO_OWN_INVALIDATION)) {
        __real_cache_invalidate_pending(cache, tags, count, pending);
    }
    if (mutation_is(NO_PENDING)) {
        __real_cache_end_pending(cache, pending);
    }
}

void __wrap_cache_end_pending(struct cache *cache, struct cache_pending *pending) {
    if (!mutation_is(NO_PENDING)) {
        __real_cache_end_pending(cache, pending);
    }
}

void __wrap_cache_drop_uncounted(struct cache *cache) {
    if (!(is_subscriber() && mutation_is(NO_RECEPTION))) {
        __real_cache_drop_uncounted(cache);
    }
}

bool __wrap_store_is_stale(const struct store *store, const uint64_t *tags, size_t count,
                           uint64_t began) {
    return !mutation_is(NO_STALENESS) && __real_store_is_stale(store, tags, count, began);
}
