#include "live.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "live_variants.h"

#define BUCKETS 16384
#define CHAINS 4096
#define RETRY_US 1000000 /* after a failure, which is often an outage */
#define LOOK_AGAIN_US                                                                              \
    5000000 /* if commits of other processes are not heard of, or not their tags */
#define LONG_US 3600000000LL

/* One (tag, watch) pair, in the tag's bucket. */
struct live_link {
    uint64_t tag;
    struct live_watch *watch;
    struct live_link *next;
};

struct live_bucket {
    uint64_t sequence; /* of the last invalidation of a tag in this bucket */
    struct live_link *links;
};

/* A path that somebody watches. */
struct live_watch {
    char *path;
    struct live_watch *next;     /* of its chain */
    struct live_watch *next_due; /* of the queue */
    struct live_reader *readers;
    struct live_link *links;
    size_t link_count;
    int64_t again_us; /* asked again then; 0: not before it is invalidated */
    bool due;         /* in the queue */
    bool busy;        /* the thread asks for its answer: it also frees it */
};

struct live_reader {
    struct live *live;
    struct live_watch *watch; /* NULL: not joined */
    struct live_reader *previous, *next;
    void (*notify)(void *context);
    void *context;
    char *path;   /* until it joins */
    char *caller; /* "": none */
    bool wants_answer;
    char sent[20];             /* the ETag of the answer that it has, or gets; "": none */
    struct live_message *news; /* not yet taken */
    bool ends;
    uint64_t endings; /* of all readers, when it was created */
};

struct live {
    struct live_site site;
    struct thread thread; /* its lock guards all that follows */
    struct live_bucket *buckets;
    struct live_watch **chains;
    struct live_watch *due, **due_end;
    uint64_t sequence; /* invalidations so far */
    uint64_t endings;  /* calls of live_end_all so far */
    int64_t look_us;   /* when all are asked again */
    size_t reader_count;
    _Atomic size_t watching; /* the same, without the lock */
    struct metric_cell *readers, *events, *answers, *slow;
};

/* ---- watches -------------------------------------------------------------------------------- */

static void live_queue(struct live *live, struct live_watch *watch) {
    if (watch->due) {
        return;
    }
    watch->due = true;
    watch->next_due = NULL;
    *live->due_end = watch;
    live->due_end = &watch->next_due;
    thread_wake(&live->thread);
}

static void live_queue_all(struct live *live) {
    for (size_t i = 0; live->chains && i < CHAINS; i++) {
        for (struct live_watch *watch = live->chains[i]; watch; watch = watch->next) {
            live_queue(live, watch);
        }
    }
}

static void live_unlink_tags(struct live *live, struct live_watch *watch) {
    for (size_t i = 0; i < watch->link_count; i++) {
        struct live_link **at = &live->buckets[watch->links[i].tag % BUCKETS].links;
        while (*at != &watch->links[i]) {
            at = &(*at)->next;
        }
        *at = watch->links[i].next;
    }
    free(watch->links);
    watch->links = NULL;
    watch->link_count = 0;
}

static void live_link_tags(struct live *live, struct live_watch *watch, const uint64_t *tags,
                           size_t count) {
    live_unlink_tags(live, watch);
    watch->links = xcalloc(count + 1, sizeof *watch->links);
    watch->link_count = count;
    for (size_t i = 0; i < count; i++) {
        struct live_bucket *bucket = &live->buckets[tags[i] % BUCKETS];
        watch->links[i] = (struct live_link){tags[i], watch, bucket->links};
        bucket->links = &watch->links[i];
    }
}

static bool live_was_invalidated(const struct live *live, const uint64_t *tags, size_t count,
                                 uint64_t since) {
    for (size_t i = 0; i < count; i++) {
        if (live->buckets[tags[i] % BUCKETS].sequence > since) {
            return true;
        }
    }
    return false;
}

static struct live_watch **live_chain_of(struct live *live, const char *path) {
    return &live->chains[hash64(slice_of(path)) % CHAINS];
}

static struct live_watch *live_watch_of(struct live *live, char *path) {
    struct live_watch **chain = live_chain_of(live, path), *watch = *chain;
    while (watch && strcmp(watch->path, path) != 0) {
        watch = watch->next;
    }
    if (watch) {
        free(path);
        return watch;
    }
    watch = xcalloc(1, sizeof *watch);
    watch->path = path;
    watch->next = *chain;
    *chain = watch;
    return watch;
}

/* Without readers, and not in the queue. */
static void live_free_watch(struct live *live, struct live_watch *watch) {
    struct live_watch **at = live_chain_of(live, watch->path);
    while (*at != watch) {
        at = &(*at)->next;
    }
    *at = watch->next;
    live_unlink_tags(live, watch);
    free(watch->path);
    free(watch);
}

void live_invalidate(void *context, const uint64_t *tags, size_t count) {
    struct live *live = context;
    if (atomic_load_explicit(&live->watching, memory_order_relaxed) == 0) {
        return;
    }
    thread_lock(&live->thread);
    live->sequence++;
    for (size_t i = 0; i < count && live->buckets; i++) {
        struct live_bucket *bucket = &live->buckets[tags[i] % BUCKETS];
        bucket->sequence = live->sequence;
        for (struct live_link *link = bucket->links; link; link = link->next) {
            if (link->tag == tags[i]) {
                live_queue(live, link->watch);
            }
        }
    }
    if (count == 0) {
        live_queue_all(live);
    }
    thread_unlock(&live->thread);
}

void live_refresh(struct live *live) {
    live_invalidate(live, NULL, 0);
}

/* ---- readers -------------------------------------------------------------------------------- */

struct live_reader *live_reader_create(struct live *live, const struct live_request *request,
                                       size_t most) {
    thread_lock(&live->thread);
    bool full = live->reader_count >= most;
    live->reader_count += !full;
    uint64_t endings = live->endings;
    thread_unlock(&live->thread);
    if (full) {
        return NULL;
    }
    metric_add(live->readers, 1);
    struct live_reader *reader = xcalloc(1, sizeof *reader);
    reader->live = live;
    reader->endings = endings;
    reader->path = xstrndup(request->path.data, request->path.len);
    reader->caller =
        xstrndup(request->caller.data ? request->caller.data : "", request->caller.len);
    reader->wants_answer = request->wants_answer;
    struct slice id = request->last_event_id;
    if (id.data && id.len + 3 <= sizeof reader->sent) {
        snprintf(reader->sent, sizeof reader->sent, "\"%.*s\"", (int)id.len, id.data);
    }
    return reader;
}

void live_reader_join(struct live_reader *reader, void (*notify)(void *context), void *context) {
    struct live *live = reader->live;
    thread_lock(&live->thread);
    if (!live->buckets) {
        live->buckets = xcalloc(BUCKETS, sizeof *live->buckets);
        live->chains = xcalloc(CHAINS, sizeof(struct live_watch *));
    }
    reader->notify = notify;
    reader->context = context;
    struct live_watch *watch = reader->watch = live_watch_of(live, reader->path);
    reader->path = NULL;
    reader->next = watch->readers;
    if (watch->readers) {
        watch->readers->previous = reader;
    }
    watch->readers = reader;
    atomic_fetch_add_explicit(&live->watching, 1, memory_order_relaxed);
    live_queue(live, watch);
    if (reader->endings != live->endings) { /* its head was not written yet */
        reader->ends = true;
        notify(context);
    }
    thread_unlock(&live->thread);
}

struct live_message *live_reader_take(struct live_reader *reader, bool *ends) {
    thread_lock(&reader->live->thread);
    struct live_message *news = reader->news;
    reader->news = NULL;
    *ends = reader->ends;
    thread_unlock(&reader->live->thread);
    return news;
}

static void live_unwatch(struct live *live, struct live_reader *reader) {
    struct live_watch *watch = reader->watch;
    *(reader->previous ? &reader->previous->next : &watch->readers) = reader->next;
    if (reader->next) {
        reader->next->previous = reader->previous;
    }
    atomic_fetch_sub_explicit(&live->watching, 1, memory_order_relaxed);
    if (!watch->readers && !watch->busy && !watch->due) {
        live_free_watch(live, watch);
    }
}

void live_reader_leave(struct live_reader *reader) {
    if (!reader) {
        return;
    }
    struct live *live = reader->live;
    thread_lock(&live->thread);
    live->reader_count--;
    if (reader->watch) {
        live_unwatch(live, reader);
    }
    thread_unlock(&live->thread);
    metric_add(live->readers, -1);
    live_message_unref(reader->news);
    free(reader->path);
    free(reader->caller);
    free(reader);
}

void live_reader_count_slow(struct live_reader *reader) {
    metric_add(reader->live->slow, 1);
}

void live_end_all(struct live *live) {
    thread_lock(&live->thread);
    live->endings++;
    for (size_t i = 0; live->chains && i < CHAINS; i++) {
        for (struct live_watch *watch = live->chains[i]; watch; watch = watch->next) {
            for (struct live_reader *at = watch->readers; at; at = at->next) {
                at->ends = true;
                at->notify(at->context);
            }
        }
    }
    thread_unlock(&live->thread);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Under the lock: who the readers are. */
static void live_list_callers(const struct live_watch *watch, struct live_variants *variants) {
    for (const struct live_reader *at = watch->readers; at; at = at->next) {
        live_variants_add(variants, at->caller);
    }
}

/* An answer that is an error of the request never changes. */
static bool live_may_change(const struct cached_response *cached) {
    return cached->status == 200 || cached->status == 404;
}

static void live_deliver(struct live *live, const struct live_watch *watch,
                         struct live_variants *variants) {
    for (struct live_reader *at = watch->readers; at; at = at->next) {
        struct live_variant *variant = live_variants_find(variants, at->caller);
        if (!variant || strcmp(at->sent, variant->cached->etag) == 0) {
            continue;
        }
        memcpy(at->sent, variant->cached->etag, sizeof at->sent);
        live_message_unref(at->news);
        at->news = live_message_ref(variant->messages[at->wants_answer]);
        at->ends = at->ends || !live_may_change(variant->cached);
        metric_add(live->events, 1);
        at->notify(at->context);
    }
}

/* Under the lock, which it releases while it asks. */
static bool live_ask(struct live *live, struct live_watch *watch, struct live_answer *answer,
                     struct live_variants *variants) {
    struct err err = {0};
    live_list_callers(watch, variants);
    thread_unlock(&live->thread);
    bool answered = live->site.ask(live->site.context, slice_of(watch->path), answer, &err);
    metric_add(live->answers, 1);
    if (answered) {
        live_variants_translate(variants, &live->site, answer);
        live->site.release(answer->held);
    } else {
        log_debug("live route has no answer", LOG_TEXT("path", watch->path),
                  LOG_TEXT("error", err.text));
    }
    thread_lock(&live->thread);
    return answered;
}

static void live_look(struct live *live, struct live_watch *watch) {
    struct live_answer answer = {0};
    struct live_variants variants = {0};
    uint64_t began = live->sequence;
    bool answered = live_ask(live, watch, &answer, &variants);
    if (answered) {
        live_link_tags(live, watch, answer.tags, answer.tag_count);
        live_deliver(live, watch, &variants);
    }
    int64_t wait_us = !answered ? RETRY_US : answer.tag_count == 0 ? LOOK_AGAIN_US : 0;
    watch->again_us = wait_us > 0 ? clock_monotonic_us() + wait_us : 0;
    if (live_was_invalidated(live, answer.tags, answered ? answer.tag_count : 0, began)) {
        live_queue(live, watch);
    }
    /* A reader that came meanwhile of another caller queued the watch. */
    live_variants_free(&variants);
    cached_response_unref(answer.cached);
    free(answer.tags);
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Queues what is due by time; returns the time of the next look. */
static int64_t live_queue_by_time(struct live *live) {
    int64_t now_us = clock_monotonic_us(), next_us = now_us + LONG_US;
    if (live->reader_count == 0) {
        return next_us;
    }
    if (now_us >= live->look_us) {
        live->look_us = now_us + LOOK_AGAIN_US;
        if (!live->site.hears(live->site.context)) {
            live_queue_all(live);
        }
    }
    next_us = live->look_us;
    for (size_t i = 0; live->chains && i < CHAINS; i++) {
        for (struct live_watch *watch = live->chains[i]; watch; watch = watch->next) {
            if (watch->again_us && watch->again_us <= now_us) {
                watch->again_us = 0;
                live_queue(live, watch);
            } else if (watch->again_us && watch->again_us < next_us) {
                next_us = watch->again_us;
            }
        }
    }
    return next_us;
}

static struct live_watch *live_next_due(struct live *live) {
    struct live_watch *watch = live->due;
    if (watch) {
        live->due = watch->next_due;
        live->due_end = live->due ? live->due_end : &live->due;
        watch->due = false;
    }
    return watch;
}

static void *live_main(void *context) {
    struct live *live = context;
    thread_lock(&live->thread);
    while (!live->thread.stopping) {
        struct live_watch *watch = live_next_due(live);
        if (!watch) {
            int64_t next_us = live_queue_by_time(live);
            if (!live->due) {
                thread_sleep(&live->thread, next_us);
            }
            continue;
        }
        watch->busy = true;
        if (watch->readers) {
            live_look(live, watch);
        }
        watch->busy = false;
        if (!watch->readers && !watch->due) {
            live_free_watch(live, watch);
        }
    }
    thread_unlock(&live->thread);
    return NULL;
}

struct live *live_create(const struct live_site *site, struct err *err) {
    struct live *live = xcalloc(1, sizeof *live);
    live->site = *site;
    live->due_end = &live->due;
    live->readers = metric_single(METRIC_GAUGE, "ras_http_live_readers", "Open live streams.");
    live->events = metric_single(METRIC_COUNTER, "ras_http_live_events_total",
                                 "Changed answers given to live streams.");
    live->answers = metric_single(METRIC_COUNTER, "ras_http_live_answers_total",
                                  "Answers computed for live streams, one for all of a path.");
    live->slow = metric_single(METRIC_COUNTER, "ras_http_live_slow_total",
                               "Live streams ended because the client took nothing in time.");
    thread_init(&live->thread);
    if (!thread_start(&live->thread, live_main, live, "live routes", err)) {
        live_destroy(live);
        return NULL;
    }
    return live;
}

void live_destroy(struct live *live) {
    if (!live) {
        return;
    }
    thread_stop(&live->thread);
    for (struct live_watch *watch; (watch = live_next_due(live));) {
        if (!watch->readers) {
            live_free_watch(live, watch);
        }
    }
    thread_free(&live->thread);
    free(live->buckets);
    free(live->chains);
    free(live);
}
