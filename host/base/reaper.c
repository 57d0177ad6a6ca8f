#include "reaper.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "xalloc.h"

struct queued {
    void (*destroy)(void *object);
    void *object;
    struct queued *next;
};

struct reaper {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t changed;
    struct queued *first;
    bool stopping;
};

/* Takes the whole queue; NULL: stop. */
static struct queued *reaper_await_objects(struct reaper *reaper) {
    pthread_mutex_lock(&reaper->lock);
    while (!reaper->first && !reaper->stopping) {
        pthread_cond_wait(&reaper->changed, &reaper->lock);
    }
    struct queued *all = reaper->first;
    reaper->first = NULL;
    pthread_mutex_unlock(&reaper->lock);
    return all;
}

static void *reaper_main(void *context) {
    struct queued *queued, *next;
    while ((queued = reaper_await_objects(context))) {
        for (; queued; queued = next) {
            next = queued->next;
            queued->destroy(queued->object);
            free(queued);
        }
    }
    return NULL;
}

struct reaper *reaper_create(void) {
    struct reaper *reaper = xcalloc(1, sizeof *reaper);
    pthread_mutex_init(&reaper->lock, NULL);
    pthread_cond_init(&reaper->changed, NULL);
    if (pthread_create(&reaper->thread, NULL, reaper_main, reaper) != 0) {
        pthread_cond_destroy(&reaper->changed);
        pthread_mutex_destroy(&reaper->lock);
        free(reaper);
        return NULL;
    }
    return reaper;
}

void reaper_give(struct reaper *reaper, void (*destroy)(void *object), void *object) {
    struct queued *queued = xcalloc(1, sizeof *queued);
    pthread_mutex_lock(&reaper->lock);
    *queued = (struct queued){destroy, object, reaper->first};
    reaper->first = queued;
    pthread_cond_signal(&reaper->changed);
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_destroy(struct reaper *reaper) {
    if (reaper) {
        pthread_mutex_lock(&reaper->lock);
        reaper->stopping = true;
        pthread_cond_signal(&reaper->changed);
        pthread_mutex_unlock(&reaper->lock);
        pthread_join(reaper->thread, NULL);
        pthread_cond_destroy(&reaper->changed);
        pthread_mutex_destroy(&reaper->lock);
        free(reaper);
    }
}
