#include "liveness.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "bindings/service_manager.h"

/* One late turn of a loop must not end the process. */
#define PROOFS_PER_INTERVAL 3

struct liveness {
    struct thread thread;
    struct http_server *http;
    int64_t interval_us;
    bool proved; /* the last time */
};

static void liveness_prove(struct liveness *liveness) {
    bool alive = http_server_poke(liveness->http);
    if (alive) {
        service_manager_prove_life();
    } else if (liveness->proved) {
        log_error("an HTTP loop hangs: the service manager is told no more that the process lives",
                  LOG_INT("interval_ms", liveness->interval_us / 1000));
    }
    liveness->proved = alive;
}

static void *liveness_main(void *context) {
    struct liveness *liveness = context;
    thread_lock(&liveness->thread);
    while (!liveness->thread.stopping) {
        thread_unlock(&liveness->thread);
        liveness_prove(liveness);
        int64_t next_us = clock_monotonic_us() + liveness->interval_us / PROOFS_PER_INTERVAL;
        thread_lock(&liveness->thread);
        while (thread_sleep(&liveness->thread, next_us)) {
        }
    }
    thread_unlock(&liveness->thread);
    return NULL;
}

struct liveness *liveness_start(struct http_server *http, struct err *err) {
    int64_t interval_us = service_manager_watchdog_us();
    if (interval_us == 0) {
        return NULL;
    }
    struct liveness *liveness = xcalloc(1, sizeof *liveness);
    *liveness = (struct liveness){.http = http, .interval_us = interval_us, .proved = true};
    thread_init(&liveness->thread);
    if (!thread_start(&liveness->thread, liveness_main, liveness, "liveness", err)) {
        liveness_stop(liveness);
        return NULL;
    }
    return liveness;
}

void liveness_stop(struct liveness *liveness) {
    if (liveness) {
        thread_stop(&liveness->thread);
        thread_free(&liveness->thread);
        free(liveness);
    }
}
