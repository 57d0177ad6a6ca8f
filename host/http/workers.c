#include "workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "../base/xalloc.h"

/* The jobs of one endpoint, in order of arrival. Lanes are served in turn: a crowd at one endpoint
 * does not hold up the others. */
struct lane {
    const struct endpoint *endpoint;
    struct job *first, *last;
};

struct workers {
    struct service *service;
    workers_on_done on_done;
    pthread_t *threads;
    size_t count;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t work;
    struct lane *lanes; /* one an endpoint that ever had a job */
    size_t lane_count;
    size_t turn; /* the lane that is served next */
    bool stopping;
};

struct job *job_create(struct connection *connection, const struct exchange *exchange,
                       struct slice head) {
    struct job *job = xcalloc(1, sizeof *job + head.len);
    struct refusal refusal;
    job->connection = connection;
    job->exchange = *exchange;
    memcpy(job->head, head.data, head.len);
    /* Again, so that every slice of the request points into the copy. */
    request_parse((struct slice){job->head, head.len}, &job->exchange.request, &refusal);
    return job;
}

static struct lane *lane_of(struct workers *workers, const struct endpoint *endpoint) {
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

/* The first job of the next lane that has one; NULL: there is none. */
static struct job *next_job(struct workers *workers) {
    for (size_t i = 0; i < workers->lane_count; i++) {
        struct lane *lane = &workers->lanes[workers->turn++ % workers->lane_count];
        struct job *job = lane->first;
        if (job) {
            lane->first = job->next;
            return job;
        }
    }
    return NULL;
}

/* NULL: stop. */
static struct job *take(struct workers *workers) {
    struct job *job;
    pthread_mutex_lock(&workers->lock);
    while (!(job = next_job(workers)) && !workers->stopping) {
        pthread_cond_wait(&workers->work, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *worker_main(void *context) {
    struct workers *workers = context;
    struct job *job;
    while ((job = take(workers))) {
        job->answered = !atomic_load_explicit(&job->abandoned, memory_order_relaxed) &&
                        service_answer(workers->service, &job->exchange, true);
        workers->on_done(job);
    }
    return NULL;
}

void workers_submit(struct workers *workers, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    struct lane *lane = lane_of(workers, job->exchange.endpoint);
    *(lane->first ? &lane->last->next : &lane->first) = job;
    lane->last = job;
    pthread_cond_signal(&workers->work);
    pthread_mutex_unlock(&workers->lock);
}

struct workers *workers_start(struct service *service, int count, workers_on_done on_done,
                              struct err *err) {
    struct workers *workers = xcalloc(1, sizeof *workers);
    workers->service = service;
    workers->on_done = on_done;
    workers->threads = xcalloc((size_t)count, sizeof *workers->threads);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work, NULL);
    for (; workers->count < (size_t)count; workers->count++) {
        if (pthread_create(&workers->threads[workers->count], NULL, worker_main, workers) != 0) {
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
