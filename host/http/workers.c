#include "workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/thread.h"
#include "base/xalloc.h"

/* The queue of one endpoint. Lanes are served in turn, and none has all threads: many requests to
 * one endpoint do not delay the others, nor do some that wait for long. */
struct lane {
    const struct endpoint *endpoint;
    struct exchange *first, *last;
    size_t running; /* threads that carry out its requests */
};

struct workers {
    struct exchanges *exchanges;
    workers_on_done on_done;
    pthread_t *threads;
    size_t count;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t work;
    struct lane *lanes; /* one for each endpoint that was ever queued */
    size_t lane_count;
    size_t turn;            /* the lane to serve next */
    size_t scripts_running; /* threads that carry out requests of scripts */
    bool stopping;
};

static struct lane *workers_lane_of(struct workers *workers, const struct endpoint *endpoint) {
    for (size_t i = 0; i < workers->lane_count; i++) {
        if (workers->lanes[i].endpoint == endpoint) {
            return &workers->lanes[i];
        }
    }
    workers->lanes = xrealloc(workers->lanes, (workers->lane_count + 1) * sizeof *workers->lanes);
    struct lane *lane = &workers->lanes[workers->lane_count++];
    *lane = (struct lane){.endpoint = endpoint};
    return lane;
}

/* A quarter of the threads, and one at least where there are several, is for the requests of other
 * endpoints. */
static size_t workers_most_of_lane(const struct workers *workers) {
    return workers->count > 1 ? workers->count - (workers->count + 3) / 4 : 1;
}

/* An eighth of the threads, and one at least where there are several, runs no script. */
static size_t workers_most_scripts(const struct workers *workers) {
    return workers->count > 1 ? workers->count - (workers->count + 7) / 8 : 1;
}

static bool workers_may_begin(const struct workers *workers, const struct lane *lane) {
    return lane->running < workers_most_of_lane(workers) &&
           (!lane->first->plan.runs_script ||
            workers->scripts_running < workers_most_scripts(workers));
}

/* NULL: no lane has a request that may be carried out now. A thread that has finished looks again,
 * and takes one request: no other has become possible. */
static struct exchange *workers_next(struct workers *workers) {
    for (size_t i = 0; i < workers->lane_count; i++) {
        struct lane *lane = &workers->lanes[workers->turn++ % workers->lane_count];
        struct exchange *exchange = lane->first;
        if (exchange && workers_may_begin(workers, lane)) {
            lane->first = exchange->next;
            lane->running++;
            workers->scripts_running += exchange->plan.runs_script;
            return exchange;
        }
    }
    return NULL;
}

static void *workers_main(void *context) {
    struct workers *workers = context;
    thread_set_own_name("http worker");
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct exchange *exchange;
        const struct endpoint *endpoint;
        bool runs_script;
        while (!(exchange = workers_next(workers))) {
            if (workers->stopping) {
                pthread_mutex_unlock(&workers->lock);
                return NULL;
            }
            pthread_cond_wait(&workers->work, &workers->lock);
        }
        endpoint = exchange->endpoint;
        runs_script = exchange->plan.runs_script;
        pthread_mutex_unlock(&workers->lock);
        exchange->answered = !atomic_load_explicit(&exchange->abandoned, memory_order_relaxed);
        if (exchange->answered) {
            exchange_carry_out(workers->exchanges, exchange);
        } else {
            exchange_drop(exchange);
        }
        workers->on_done(exchange);
        pthread_mutex_lock(&workers->lock);
        workers_lane_of(workers, endpoint)->running--;
        workers->scripts_running -= runs_script;
    }
}

void workers_submit(struct workers *workers, struct exchange *exchange) {
    exchange->next = NULL;
    exchange->answered = false;
    atomic_store_explicit(&exchange->abandoned, false, memory_order_relaxed);
    pthread_mutex_lock(&workers->lock);
    struct lane *lane = workers_lane_of(workers, exchange->endpoint);
    *(lane->first ? &lane->last->next : &lane->first) = exchange;
    lane->last = exchange;
    pthread_cond_signal(&workers->work);
    pthread_mutex_unlock(&workers->lock);
}

struct workers *workers_start(struct exchanges *exchanges, int count, workers_on_done on_done,
                              struct err *err) {
    struct workers *workers = xcalloc(1, sizeof *workers);
    workers->exchanges = exchanges;
    workers->on_done = on_done;
    workers->threads = xcalloc((size_t)count, sizeof *workers->threads);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work, NULL);
    for (; workers->count < (size_t)count; workers->count++) {
        if (pthread_create(&workers->threads[workers->count], NULL, workers_main, workers) != 0) {
            err_set(err, ERR_INTERNAL, "cannot start %d http threads (http.threads)", count);
            workers_stop(workers);
            return NULL;
        }
    }
    return workers;
}

void workers_stop(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->count; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    pthread_cond_destroy(&workers->work);
    pthread_mutex_destroy(&workers->lock);
    free(workers->threads);
    free(workers->lanes);
    free(workers);
}
