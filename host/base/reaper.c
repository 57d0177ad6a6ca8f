#include "reaper.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "xalloc.h"

struct remains {
    void (*destroy)(void *thing);
    void *thing;
    struct remains *next;
};

struct reaper {
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    struct remains *first;
    bool stopping;
};

/* All that was given; NULL: stop. */
static struct remains *reaper_await_remains(struct reaper *reaper) {
    pthread_mutex_lock(&reaper->lock);
    while (!reaper->first && !reaper->stopping) {
        pthread_cond_wait(&reaper->given, &reaper->lock);
    }
    struct remains *all = reaper->first;
    reaper->first = NULL;
    pthread_mutex_unlock(&reaper->lock);
    return all;
}

static void *reaper_main(void *context) {
    struct remains *remains, *next;
    while ((remains = reaper_await_remains(context))) {
        for (; remains; remains = next) {
            next = remains->next;
            remains->destroy(remains->thing);
            free(remains);
        }
    }
    return NULL;
}

struct reaper *reaper_create(void) {
    struct reaper *reaper = xcalloc(1, sizeof *reaper);
    pthread_mutex_init(&reaper->lock, NULL);
    pthread_cond_init(&reaper->given, NULL);
    if (pthread_create(&reaper->thread, NULL, reaper_main, reaper) != 0) {
        pthread_cond_destroy(&reaper->given);
        pthread_mutex_destroy(&reaper->lock);
        free(reaper);
        return NULL;
    }
    return reaper;
}

void reaper_give(struct reaper *reaper, void (*destroy)(void *thing), void *thing) {
    struct remains *remains = xcalloc(1, sizeof *remains);
    *remains = (struct remains){.destroy = destroy, .thing = thing};
    pthread_mutex_lock(&reaper->lock);
    remains->next = reaper->first;
    reaper->first = remains;
    pthread_cond_signal(&reaper->given);
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_destroy(struct reaper *reaper) {
    if (reaper) {
        pthread_mutex_lock(&reaper->lock);
        reaper->stopping = true;
        pthread_cond_signal(&reaper->given);
        pthread_mutex_unlock(&reaper->lock);
        pthread_join(reaper->thread, NULL);
        pthread_cond_destroy(&reaper->given);
        pthread_mutex_destroy(&reaper->lock);
        free(reaper);
    }
}
