#include "workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "../xalloc.h"

struct workers {
    struct service *service;
    workers_on_done on_done;
    pthread_t *threads;
    size_t count;
    pthread_mutex_t lock; /* the queue and stopping */
    pthread_cond_t work;
    struct job *first, **last; /* in order of arrival */
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

static struct job *take(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    while (!workers->first && !workers->stopping) {
        pthread_cond_wait(&workers->work, &workers->lock);
    }
    struct job *job = workers->first;
    if (job) {
        workers->first = job->next;
        if (!workers->first) {
            workers->last = &workers->first;
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *worker_main(void *context) {
    struct workers *workers = context;
    struct job *job;
    while ((job = take(workers))) {
        service_answer(workers->service, &job->exchange, true);
        workers->on_done(job);
    }
    return NULL;
}

void workers_submit(struct workers *workers, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    *workers->last = job;
    workers->last = &job->next;
    pthread_cond_signal(&workers->work);
    pthread_mutex_unlock(&workers->lock);
}

struct workers *workers_start(struct service *service, int count, workers_on_done on_done,
                              struct err *err) {
    struct workers *workers = xcalloc(1, sizeof *workers);
    workers->service = service;
    workers->on_done = on_done;
    workers->last = &workers->first;
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
    free(workers);
}
