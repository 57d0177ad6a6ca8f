#include "refresh.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "base/xalloc.h"

struct refresh_text {
    struct refresh_text *next;
    char text[];
};

/* A route with a text that waits or runs. */
struct refresh_lane {
    struct refresh_lane *next;
    struct refresh_text *first, **end;
    size_t count;
    bool running;
    char route[];
};

struct refresh {
    void (*run)(void *context, struct slice text);
    void *context;
    pthread_t threads[REFRESH_THREADS];
    size_t thread_count;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t changed;
    struct refresh_lane *lanes; /* in the order of their turns */
    size_t running, most;       /* threads */
    bool stopping;
};

/* ---- lanes, under the lock ------------------------------------------------------------------ */

static struct refresh_lane *refresh_lane_create(const char *route) {
    size_t size = strlen(route) + 1;
    struct refresh_lane *lane = xcalloc(1, sizeof *lane + size);
    memcpy(lane->route, route, size);
    lane->end = &lane->first;
    return lane;
}

/* Where the route's lane is, or where one has to be put: at the end. */
static struct refresh_lane **refresh_find_lane(struct refresh *refresh, const char *route) {
    struct refresh_lane **at = &refresh->lanes;
    while (*at && strcmp((*at)->route, route) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static struct refresh_text *refresh_take_text(struct refresh_lane *lane) {
    struct refresh_text *text = lane->first;
    lane->first = text->next;
    lane->end = lane->first ? lane->end : &lane->first;
    lane->count--;
    return text;
}

/* The lane whose turn it is, which goes to the end. NULL: none waits. */
static struct refresh_lane *refresh_next_lane(struct refresh *refresh) {
    struct refresh_lane **at = &refresh->lanes;
    while (*at && (*at)->running) {
        at = &(*at)->next;
    }
    struct refresh_lane *lane = *at;
    if (lane) {
        *at = lane->next;
        lane->next = NULL;
        while (*at) {
            at = &(*at)->next;
        }
        *at = lane;
    }
    return lane;
}

static void refresh_drop_lane(struct refresh *refresh, struct refresh_lane *lane) {
    *refresh_find_lane(refresh, lane->route) = lane->next;
    free(lane);
}

/* ---- threads -------------------------------------------------------------------------------- */

/* Under the lock, which is released meanwhile. */
static void refresh_run_lane(struct refresh *refresh, struct refresh_lane *lane) {
    struct refresh_text *text = refresh_take_text(lane);
    lane->running = true;
    refresh->running++;
    pthread_mutex_unlock(&refresh->lock);
    refresh->run(refresh->context, slice_of(text->text));
    free(text);
    pthread_mutex_lock(&refresh->lock);
    refresh->running--;
    lane->running = false;
    if (!lane->first) {
        refresh_drop_lane(refresh, lane);
    }
}

static void *refresh_main(void *context) {
    struct refresh *refresh = context;
    thread_set_own_name("refresh");
    pthread_mutex_lock(&refresh->lock);
    while (!refresh->stopping) {
        bool free_thread = refresh->running < refresh->most;
        struct refresh_lane *lane = free_thread ? refresh_next_lane(refresh) : NULL;
        if (lane) {
            refresh_run_lane(refresh, lane);
        } else {
            pthread_cond_wait(&refresh->changed, &refresh->lock);
        }
    }
    pthread_mutex_unlock(&refresh->lock);
    return NULL;
}

struct refresh *refresh_create(void (*run)(void *context, struct slice text), void *context,
                               struct err *err) {
    struct refresh *refresh = xcalloc(1, sizeof *refresh);
    refresh->run = run;
    refresh->context = context;
    refresh->most = 1;
    pthread_mutex_init(&refresh->lock, NULL);
    pthread_cond_init(&refresh->changed, NULL);
    for (; refresh->thread_count < REFRESH_THREADS; refresh->thread_count++) {
        if (pthread_create(&refresh->threads[refresh->thread_count], NULL, refresh_main, refresh) !=
            0) {
            err_set(err, ERR_INTERNAL, "cannot start %d threads refresh", REFRESH_THREADS);
            refresh_destroy(refresh);
            return NULL;
        }
    }
    return refresh;
}

void refresh_destroy(struct refresh *refresh) {
    if (!refresh) {
        return;
    }
    pthread_mutex_lock(&refresh->lock);
    refresh->stopping = true;
    pthread_cond_broadcast(&refresh->changed);
    pthread_mutex_unlock(&refresh->lock);
    for (size_t i = 0; i < refresh->thread_count; i++) {
        pthread_join(refresh->threads[i], NULL);
    }
    while (refresh->lanes) {
        while (refresh->lanes->first) {
            free(refresh_take_text(refresh->lanes));
        }
        refresh_drop_lane(refresh, refresh->lanes);
    }
    pthread_cond_destroy(&refresh->changed);
    pthread_mutex_destroy(&refresh->lock);
    free(refresh);
}

void refresh_bound(struct refresh *refresh, int states) {
    pthread_mutex_lock(&refresh->lock);
    refresh->most = states < 2 ? 1 : (size_t)states / 2;
    pthread_cond_broadcast(&refresh->changed);
    pthread_mutex_unlock(&refresh->lock);
}

bool refresh_give(struct refresh *refresh, const char *route, struct slice text) {
    pthread_mutex_lock(&refresh->lock);
    struct refresh_lane **at = refresh_find_lane(refresh, route);
    *at = *at ? *at : refresh_lane_create(route);
    struct refresh_lane *lane = *at;
    bool room = lane->count < REFRESH_MOST;
    if (room) {
        struct refresh_text *waiting = xcalloc(1, sizeof *waiting + text.len + 1);
        memcpy(waiting->text, text.data, text.len);
        *lane->end = waiting;
        lane->end = &waiting->next;
        lane->count++;
        pthread_cond_signal(&refresh->changed);
    }
    pthread_mutex_unlock(&refresh->lock);
    return room;
}
