/* script_switch: switches a worker to new scripts between two batches, without waiting for a
 * transaction. The old scripts handle the events that were taken. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "worker.h"

void worker_scripts_free(struct worker_scripts *scripts) {
    script_instance_destroy(scripts->instance);
    script_generation_unref(scripts->generation);
    *scripts = (struct worker_scripts){0};
}

/* ---- any thread ---------------------------------------------------------------------------- */

struct worker_scripts script_switch_offer(struct worker *worker, struct worker_scripts scripts) {
    struct script_switch *offer = &worker->script_switch;
    pthread_mutex_lock(&offer->lock);
    struct worker_scripts not_taken = offer->next;
    offer->next = scripts;
    atomic_store(&offer->is_offered, true);
    pthread_mutex_unlock(&offer->lock);
    return not_taken;
}

bool script_switch_wait(struct worker *worker, int64_t deadline_us, struct worker_scripts *old) {
    struct script_switch *offer = &worker->script_switch;
    int status = 0;
    pthread_mutex_lock(&offer->lock);
    while (atomic_load(&offer->is_offered) && status == 0) {
        status = clock_condition_wait(&offer->done, &offer->lock, deadline_us);
    }
    bool taken = !atomic_load(&offer->is_offered);
    *old = offer->old;
    offer->old = (struct worker_scripts){0};
    pthread_mutex_unlock(&offer->lock);
    return taken;
}

/* ---- the worker ---------------------------------------------------------------------------- */

static bool script_switch_declares_all(const struct script_generation *generation,
                                       const struct script_generation *other) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(other, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (script_handler_of(generation, handlers[i].topics[t]) < 0) {
                return false;
            }
        }
    }
    return true;
}

/* Re-reads the offsets if the topics differ: records that arrive before the group has the new
 * topics must not be skipped. */
static void script_switch_follow_topics(struct worker *worker,
                                        const struct script_generation *old) {
    const struct script_generation *new = worker->pipeline.generation;
    struct err err = {0};
    if (!worker->kafka ||
        (script_switch_declares_all(old, new) && script_switch_declares_all(new, old))) {
        return;
    }
    consumer_restart(worker);
    if (!consumer_subscribe(worker, &err)) {
        reopen_ask(worker, REOPEN_TOPICS);
        log_error("cannot subscribe to the topics of the new scripts", LOG_TEXT("error", err.text));
    }
}

static void script_switch_note_left(struct worker *worker) {
    bool left = false;
    for (int i = 0; i < WORKER_BATCHES; i++) {
        left = left || batch_is_outdated(&worker->pipeline, &worker->batches[i]);
    }
    atomic_store(&worker->has_outdated, left);
}

/* Returns the old scripts. */
static struct worker_scripts script_switch_change_to(struct worker *worker,
                                                     struct worker_scripts scripts) {
    if (worker->filling->count > 0) {
        worker->retiring = worker->filling;
        worker->filling = worker_spare_batch(worker);
    }
    waiting_forget(worker);
    pipeline_switch_scripts(&worker->pipeline, &scripts.generation, &scripts.instance);
    for (int i = 0; i < WORKER_BATCHES; i++) {
        if (worker->batches[i].count == 0) {
            batch_clear(&worker->pipeline, &worker->batches[i]);
        }
    }
    script_switch_follow_topics(worker, scripts.generation);
    script_switch_note_left(worker);
    return scripts;
}

static void script_switch_take(struct worker *worker) {
    struct script_switch *offer = &worker->script_switch;
    int64_t began_us = worker->paused_since_us > 0 ? worker->paused_since_us : clock_monotonic_us();
    worker->paused_since_us = 0;
    pthread_mutex_lock(&offer->lock);
    struct worker_scripts scripts = offer->next;
    offer->next = (struct worker_scripts){0};
    pthread_mutex_unlock(&offer->lock);
    FAULT_POINT("script_switch");
    scripts = script_switch_change_to(worker, scripts);
    pthread_mutex_lock(&offer->lock);
    struct worker_scripts not_fetched = offer->old;
    offer->old = scripts;
    atomic_store(&offer->is_offered, offer->next.instance != NULL); /* offered meanwhile */
    pthread_cond_broadcast(&offer->done);
    pthread_mutex_unlock(&offer->lock);
    worker_scripts_free(&not_fetched);
    log_info("worker switched scripts", LOG_INT("worker", worker->number),
             LOG_TEXT("scripts", script_generation_hash(worker->pipeline.generation)),
             LOG_INT("paused_us", clock_monotonic_us() - began_us));
}

static bool script_switch_is_there(const struct worker *worker) {
    return atomic_load_explicit(&worker->script_switch.is_offered, memory_order_acquire);
}

static bool script_switch_is_handled(const struct worker *worker) {
    return worker->filling->handled == worker->filling->count;
}

/* Due if `filling` is empty or can retire. Without an open transaction it need not retire: it is
 * committed next, or dropped. */
bool script_switch_is_due(const struct worker *worker) {
    bool can_retire = worker->inflight && !worker->retiring && script_switch_is_handled(worker);
    return script_switch_is_there(worker) && (worker->filling->count == 0 || can_retire);
}

bool script_switch_turn(struct worker *worker) {
    if (script_switch_is_due(worker)) {
        script_switch_take(worker);
    }
    if (atomic_load_explicit(&worker->has_outdated, memory_order_relaxed)) {
        script_switch_note_left(worker);
    }
    bool must_hold = script_switch_is_there(worker) && !script_switch_is_handled(worker);
    if (must_hold && worker->paused_since_us == 0) {
        worker->paused_since_us = clock_monotonic_us();
    }
    return !must_hold;
}
