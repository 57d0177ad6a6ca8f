/* replace: a worker goes on by other scripts between two batches: what it has taken is handled and
 * committed by the old ones, what it takes next by the new ones. */
#include "../clock.h"
#include "../log.h"
#include "worker.h"

void worker_scripts_free(struct worker_scripts *scripts) {
    script_instance_destroy(scripts->instance);
    script_generation_unref(scripts->generation);
    *scripts = (struct worker_scripts){0};
}

/* ---- who gives them ------------------------------------------------------------------------ */

struct worker_scripts replace_offer(struct worker *worker, struct worker_scripts scripts) {
    struct worker_replacement *replacement = &worker->replacement;
    pthread_mutex_lock(&replacement->lock);
    struct worker_scripts not_taken = replacement->next;
    replacement->next = scripts;
    atomic_store(&replacement->is_there, true);
    pthread_mutex_unlock(&replacement->lock);
    return not_taken;
}

bool replace_wait(struct worker *worker, int64_t deadline_us, struct worker_scripts *old) {
    struct worker_replacement *replacement = &worker->replacement;
    int status = 0;
    pthread_mutex_lock(&replacement->lock);
    while (atomic_load(&replacement->is_there) && status == 0) {
        status = clock_condition_wait(&replacement->done, &replacement->lock, deadline_us);
    }
    bool taken = !atomic_load(&replacement->is_there);
    *old = replacement->old;
    replacement->old = (struct worker_scripts){0};
    pthread_mutex_unlock(&replacement->lock);
    return taken;
}

/* ---- the worker ---------------------------------------------------------------------------- */

static void follow_topics(struct worker *worker) {
    struct err err = {0};
    if (worker->kafka && !consumer_subscribe(worker, &err)) {
        worker->must_reopen = true;
        log_error("cannot follow the topics of the new scripts", LOG_TEXT("error", err.text));
    }
}

static void take(struct worker *worker) {
    struct worker_replacement *replacement = &worker->replacement;
    pthread_mutex_lock(&replacement->lock);
    struct worker_scripts scripts = replacement->next;
    replacement->next = (struct worker_scripts){0};
    pthread_mutex_unlock(&replacement->lock);
    pipeline_replace_scripts(&worker->pipeline, &scripts.generation, &scripts.instance);
    batch_clear(&worker->pipeline, &worker->batches[0]);
    batch_clear(&worker->pipeline, &worker->batches[1]);
    follow_topics(worker);
    seen_doubt_caches(&worker->pipeline);
    worker_resume(worker);
    pthread_mutex_lock(&replacement->lock);
    struct worker_scripts not_fetched = replacement->old;
    replacement->old = scripts;
    atomic_store(&replacement->is_there, false);
    pthread_cond_signal(&replacement->done);
    pthread_mutex_unlock(&replacement->lock);
    worker_scripts_free(&not_fetched);
    log_info("other scripts", LOG_INT("worker", worker->number),
             LOG_TEXT("scripts", script_generation_hash(worker->pipeline.generation)),
             LOG_INT("paused_us", clock_monotonic_us() - worker->stopped_taking_us));
    worker->stopped_taking_us = 0;
}

static bool is_there(const struct worker *worker) {
    return atomic_load_explicit(&worker->replacement.is_there, memory_order_acquire);
}

static bool is_between_batches(const struct worker *worker) {
    return !worker->inflight && worker->filling->count == 0;
}

bool replace_is_due(const struct worker *worker) {
    return is_there(worker) && is_between_batches(worker);
}

bool replace_waits(struct worker *worker) {
    if (is_there(worker) && worker->stopped_taking_us == 0) {
        worker->stopped_taking_us = clock_monotonic_us();
    }
    if (replace_is_due(worker)) {
        take(worker);
    }
    return is_there(worker);
}
