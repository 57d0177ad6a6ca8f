#include "watchdog.h"

#include <pthread.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/uuid.h"
#include "base/xalloc.h"
#include "script_private.h"

#define CHECK_INTERVAL_US 500000
/* A later check means that the process stood still. */
#define CHECK_LATE_US (2 * CHECK_INTERVAL_US)
#define US_PER_S 1000000LL

/* All open Lua states of the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watched *first;
static int64_t checked_us; /* 0: not yet */

struct watchdog {
    pthread_t thread;
    pthread_cond_t changed; /* signals the thread, under the lock */
    bool stopping;
};

/* ---- a call -------------------------------------------------------------------------------- */

/* A stuck call, for log and status; texts are borrowed. */
struct stuck_call {
    const char *script, *file;
    char event_id[UUID_TEXT_LEN + 1]; /* "": none */
    int64_t lasts_ms, limit_ms;
};

static struct stuck_call watchdog_describe(struct watched *watched) {
    const char *script = atomic_load_explicit(&watched->script, memory_order_relaxed);
    const struct bundle_file *file =
        script ? bundle_find(&watched->generation->bundle, script) : NULL;
    int64_t deadline_us = atomic_load_explicit(&watched->deadline_us, memory_order_relaxed);
    struct stuck_call call = {
        .script = script ? script : "unknown",
        .file = file ? file->path : "",
        .lasts_ms = watched->lasts_us / 1000,
        .limit_ms = (deadline_us - watched->seen_us) / 1000,
    };
    uint64_t id[2] = {atomic_load_explicit(&watched->event_id[0], memory_order_relaxed),
                      atomic_load_explicit(&watched->event_id[1], memory_order_relaxed)};
    if (id[0] || id[1]) {
        uuid_format((const uint8_t *)id, call.event_id);
    }
    return call;
}

static void watchdog_log(enum log_level level, const char *message, struct watched *watched) {
    struct stuck_call call = watchdog_describe(watched);
    struct log_field fields[] = {
        LOG_TEXT("script", call.script),
        LOG_TEXT("file", call.file),
        LOG_TEXT("event_id", call.event_id[0] ? call.event_id : NULL),
        LOG_INT("running_ms", call.lasts_ms),
        LOG_INT("limit_ms", call.limit_ms),
    };
    log_write(level, message, fields, sizeof fields / sizeof *fields);
}

static void watchdog_end_call(struct watched *watched) {
    if (watched->stuck) {
        watchdog_log(LOG_WARNING, "a stuck script returned", watched);
    }
    watched->stuck = false;
    watched->seen_us = watched->lasts_us = 0;
}

/* ---- the list ------------------------------------------------------------------------------ */

void watched_add(struct watched *watched, const struct script_generation *generation) {
    pthread_mutex_lock(&lock);
    watched->generation = generation;
    watched->next = first;
    first = watched;
    pthread_mutex_unlock(&lock);
}

void watched_remove(struct watched *watched) {
    pthread_mutex_lock(&lock);
    struct watched **at = &first;
    while (*at && *at != watched) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = watched->next;
        watchdog_end_call(watched);
    }
    pthread_mutex_unlock(&lock);
}

static void watchdog_put_stuck(struct buffer *json, struct watched *watched) {
    struct stuck_call call = watchdog_describe(watched);
    json_put_name(json, NULL);
    buffer_append_text(json, "{");
    json_put_text(json, "script", slice_of(call.script));
    json_put_text(json, "file", slice_of(call.file));
    if (call.event_id[0]) {
        json_put_text(json, "event_id", slice_of(call.event_id));
    }
    json_put_int(json, "running_ms", call.lasts_ms);
    json_put_int(json, "limit_ms", call.limit_ms);
    buffer_append_text(json, "}");
}

bool watchdog_report(struct buffer *json) {
    bool none = true;
    buffer_append_text(json, "[");
    pthread_mutex_lock(&lock);
    for (struct watched *watched = first; watched; watched = watched->next) {
        if (watched->stuck) {
            none = false;
            watchdog_put_stuck(json, watched);
        }
    }
    pthread_mutex_unlock(&lock);
    buffer_append_text(json, "]");
    return none;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* Adds the time since the last check. False: the state is idle, or began another call. */
static bool watchdog_follow(struct watched *watched, int64_t passed_us) {
    int64_t started_us = atomic_load_explicit(&watched->started_us, memory_order_acquire);
    if (started_us != 0 && started_us == watched->seen_us) {
        watched->lasts_us += passed_us;
        return true;
    }
    watchdog_end_call(watched);
    watched->seen_us = started_us;
    return false;
}

/* True: the process must exit. */
static bool watchdog_judge(struct watched *watched) {
    const struct config *config = watched->generation->config;
    int64_t limit_us =
        atomic_load_explicit(&watched->deadline_us, memory_order_relaxed) - watched->seen_us;
    int64_t over_us = watched->lasts_us - limit_us;
    if (!watched->stuck && over_us >= config->scripts.stuck_unready_s * US_PER_S) {
        watched->stuck = true;
        watchdog_log(LOG_ERROR,
                     "a script is stuck in a C function; the process is not ready until it returns",
                     watched);
    }
    bool fatal =
        config->scripts.stuck_exit_s > 0 && over_us >= config->scripts.stuck_exit_s * US_PER_S;
    if (fatal) {
        watchdog_log(
            LOG_ERROR,
            "the process exits because a script is stuck; nothing is lost: correct the script, its "
            "event is re-read",
            watched);
    }
    return fatal;
}

bool watchdog_look(int64_t now_us) {
    static struct metric_cell *stuck_cell;
    size_t stuck = 0;
    bool fatal = false;
    pthread_mutex_lock(&lock);
    int64_t passed_us = checked_us ? now_us - checked_us : 0;
    passed_us = passed_us > CHECK_LATE_US ? CHECK_INTERVAL_US : passed_us;
    checked_us = now_us;
    for (struct watched *watched = first; watched; watched = watched->next) {
        fatal = (watchdog_follow(watched, passed_us) && watchdog_judge(watched)) || fatal;
        stuck += watched->stuck;
    }
    if (!stuck_cell) {
        stuck_cell = metric_single(METRIC_GAUGE, "ras_stuck_scripts",
                                   "Script calls that do not return from a C function.");
    }
    metric_set(stuck_cell, (double)stuck);
    pthread_mutex_unlock(&lock);
    return fatal;
}

static bool watchdog_wait_for_next(struct watchdog *watchdog) {
    int64_t next_us = clock_monotonic_us() + CHECK_INTERVAL_US;
    int status = 0;
    pthread_mutex_lock(&lock);
    while (!watchdog->stopping && status == 0) {
        status = clock_condition_wait(&watchdog->changed, &lock, next_us);
    }
    bool go_on = !watchdog->stopping;
    pthread_mutex_unlock(&lock);
    return go_on;
}

static void *watchdog_main(void *context) {
    do {
        if (watchdog_look(clock_monotonic_us())) {
            _exit(EX_SOFTWARE); /* an orderly exit would wait for the thread that runs the script */
        }
        print_flush(clock_monotonic_us());
    } while (watchdog_wait_for_next(context));
    return NULL;
}

struct watchdog *watchdog_start(struct err *err) {
    struct watchdog *watchdog = xcalloc(1, sizeof *watchdog);
    clock_condition_init(&watchdog->changed);
    if (pthread_create(&watchdog->thread, NULL, watchdog_main, watchdog) != 0) {
        err_set(err, ERR_INTERNAL, "cannot start the watchdog's thread");
        pthread_cond_destroy(&watchdog->changed);
        free(watchdog);
        return NULL;
    }
    return watchdog;
}

void watchdog_stop(struct watchdog *watchdog) {
    if (!watchdog) {
        return;
    }
    pthread_mutex_lock(&lock);
    watchdog->stopping = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&lock);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->changed);
    free(watchdog);
}
