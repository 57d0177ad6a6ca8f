/* generation_watcher: a thread that stores the running generation and judges it during its bake. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "reload_private.h"
#include "generation_store.h"

#define LOOK_INTERVAL_MS 250 /* at the bake */
#define STORE_AGAIN_S 10

/* ---- the bake ----------------------------------------------------------------------------- */

/* Under the lock, which it leaves for the rollback. */
static void generation_watcher_look(struct reload *reload) {
    char reason[160];
    struct buffer answer = {0}; /* the log has the same */
    enum bake_verdict verdict =
        bake_look(&reload->bake, ingest_stopped(reload->options.ingest), reason, sizeof reason);
    if (verdict == BAKE_PASSED) {
        log_info("the new scripts passed their bake");
        retention_release(reload->options.retention);
    } else if (verdict == BAKE_FAILED) {
        /* Begins under the lock: if another reload finishes first, the rollback is refused. */
        struct change change = reload_begin_locked(reload, "bake");
        pthread_mutex_unlock(&reload->lock);
        log_error("the bake of the new scripts failed: rolling back; `aggregator rejected list` "
                  "lists what they rejected",
                  LOG_TEXT("reason", reason));
        metric_add(reload->rolled_back, rollback_by(&change, slice_of(""), &answer));
        pthread_mutex_lock(&reload->lock);
    }
    buffer_free(&answer);
}

/* ---- the watcher --------------------------------------------------------------------------- */

/* Under the lock, which it leaves for the query. */
static void generation_watcher_store(struct reload *reload) {
    struct script_generation *running = script_generation_ref(history_running(&reload->history));
    struct err err = {0};
    reload->store_us = 0;
    pthread_mutex_unlock(&reload->lock);
    bool ok = generation_store_save(running, &err);
    pthread_mutex_lock(&reload->lock);
    if (!ok) {
        log_warning("the running scripts are not stored yet: a rollback after a restart would not "
                    "find them; the next attempt follows",
                    LOG_TEXT("error", err.text));
        reload->store_us = clock_monotonic_us() + STORE_AGAIN_S * 1000000LL;
    }
    script_generation_unref(running);
}

/* 0: never. */
static int64_t generation_watcher_next_work_us(const struct reload *reload) {
    int64_t look_us = clock_monotonic_us() + LOOK_INTERVAL_MS * 1000LL;
    if (reload->bake.until_us == 0) {
        return reload->store_us;
    }
    return reload->store_us > 0 && reload->store_us < look_us ? reload->store_us : look_us;
}

static void *generation_watcher_main(void *context) {
    struct reload *reload = context;
    thread_set_own_name("generations");
    pthread_mutex_lock(&reload->lock);
    while (!reload->stopping) {
        int64_t next_us = generation_watcher_next_work_us(reload);
        if (next_us == 0) {
            pthread_cond_wait(&reload->changed, &reload->lock);
        } else {
            clock_condition_wait(&reload->changed, &reload->lock, next_us);
        }
        generation_watcher_look(reload);
        if (reload->store_us > 0 && reload->store_us <= clock_monotonic_us() && !reload->stopping) {
            generation_watcher_store(reload);
        }
    }
    pthread_mutex_unlock(&reload->lock);
    return NULL;
}

void generation_watcher_start(struct reload *reload) {
    reload->store_us = clock_monotonic_us();
    reload->watched = pthread_create(&reload->watcher, NULL, generation_watcher_main, reload) == 0;
    if (!reload->watched) {
        log_error("cannot start the watcher of reloads: no bake is judged, no generation is "
                  "stored");
    }
}

void generation_watcher_stop(struct reload *reload) {
    pthread_mutex_lock(&reload->lock);
    reload->stopping = true;
    pthread_cond_signal(&reload->changed);
    pthread_mutex_unlock(&reload->lock);
    if (reload->watched) {
        pthread_join(reload->watcher, NULL);
    }
}

void generation_watcher_note(struct reload *reload) {
    reload->store_us = clock_monotonic_us();
    pthread_cond_signal(&reload->changed);
}
