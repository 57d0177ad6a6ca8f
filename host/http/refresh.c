#include "refresh.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "base/xalloc.h"

#define LONG_US 3600000000LL

struct refresh {
    void (*run)(void *context, struct slice text);
    void *context;
    struct thread thread; /* its lock guards what follows */
    char *texts[REFRESH_MOST];
    size_t first, count;
};

/* Under the lock. NULL: none waits. */
static char *refresh_next(struct refresh *refresh) {
    char *text = NULL;
    if (refresh->count > 0) {
        text = refresh->texts[refresh->first];
        refresh->first = (refresh->first + 1) % REFRESH_MOST;
        refresh->count--;
    }
    return text;
}

static void *refresh_main(void *context) {
    struct refresh *refresh = context;
    thread_lock(&refresh->thread);
    while (!refresh->thread.stopping) {
        char *text = refresh_next(refresh);
        if (!text) {
            thread_sleep(&refresh->thread, clock_monotonic_us() + LONG_US);
            continue;
        }
        thread_unlock(&refresh->thread);
        refresh->run(refresh->context, slice_of(text));
        free(text);
        thread_lock(&refresh->thread);
    }
    thread_unlock(&refresh->thread);
    return NULL;
}

struct refresh *refresh_create(void (*run)(void *context, struct slice text), void *context,
                               struct err *err) {
    struct refresh *refresh = xcalloc(1, sizeof *refresh);
    refresh->run = run;
    refresh->context = context;
    thread_init(&refresh->thread);
    if (!thread_start(&refresh->thread, refresh_main, refresh, "refresh", err)) {
        refresh_destroy(refresh);
        return NULL;
    }
    return refresh;
}

void refresh_destroy(struct refresh *refresh) {
    if (!refresh) {
        return;
    }
    thread_stop(&refresh->thread);
    for (char *text; (text = refresh_next(refresh));) {
        free(text);
    }
    thread_free(&refresh->thread);
    free(refresh);
}

bool refresh_give(struct refresh *refresh, struct slice text) {
    thread_lock(&refresh->thread);
    bool room = refresh->count < REFRESH_MOST;
    if (room) {
        refresh->texts[(refresh->first + refresh->count++) % REFRESH_MOST] =
            xstrndup(text.data, text.len);
        thread_wake(&refresh->thread);
    }
    thread_unlock(&refresh->thread);
    return room;
}
