/* script_switch: a worker goes on by other scripts between two batches. What it has taken is
 * handled by the old ones, what it takes next by the new ones; neither waits for a transaction. */
#include "base/clock.h"
#include "base/log.h"
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

/* What is passed by until the group has agreed on other topics must not be passed over: it starts
 * again from the offsets. */
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
        log_error("cannot follow the topics of the new scripts", LOG_TEXT("error", err.text));
    }
}

static void script_switch_set_aside(struct worker *worker) {
    if (worker->filling->count > 0) {
        worker->set_aside = worker->filling;
        worker->filling = worker_spare_batch(worker);
    }
}

static void script_switch_note_left(struct worker *worker) {
    bool left = false;
    for (int i = 0; i < WORKER_BATCHES; i++) {
        left = left || batch_is_left(&worker->pipeline, &worker->batches[i]);
    }
    atomic_store(&worker->has_left, left);
}

/* Returns what it had. */
static struct worker_scripts script_switch_change_to(struct worker *worker,
                                                     struct worker_scripts scripts) {
    script_switch_set_aside(worker);
    waiting_forget(worker);
    pipeline_replace_scripts(&worker->pipeline, &scripts.generation, &scripts.instance);
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
    struct worker_replacement *replacement = &worker->replacement;
    int64_t began_us = worker->held_since_us > 0 ? worker->held_since_us : clock_monotonic_us();
    worker->held_since_us = 0;
    pthread_mutex_lock(&replacement->lock);
    struct worker_scripts scripts = replacement->next;
    replacement->next = (struct worker_scripts){0};
    pthread_mutex_unlock(&replacement->lock);
    scripts = script_switch_change_to(worker, scripts);
    pthread_mutex_lock(&replacement->lock);
    struct worker_scripts not_fetched = replacement->old;
    replacement->old = scripts;
    atomic_store(&replacement->is_there, false);
    pthread_cond_broadcast(&replacement->done);
    pthread_mutex_unlock(&replacement->lock);
    worker_scripts_free(&not_fetched);
    log_info("worker switched scripts", LOG_INT("worker", worker->number),
             LOG_TEXT("scripts", script_generation_hash(worker->pipeline.generation)),
             LOG_INT("paused_us", clock_monotonic_us() - began_us));
}

static bool script_switch_is_there(const struct worker *worker) {
    return atomic_load_explicit(&worker->replacement.is_there, memory_order_acquire);
}

static bool script_switch_is_handled(const struct worker *worker) {
    return worker->filling->handled == worker->filling->count;
}

/* Nothing is filling, or it can be set aside. Without a transaction under way it need not be: it is
 * sent next, or dropped. */
bool replace_is_due(const struct worker *worker) {
    bool can_set_aside = worker->inflight && !worker->set_aside && script_switch_is_handled(worker);
    return script_switch_is_there(worker) && (worker->filling->count == 0 || can_set_aside);
}

bool replace_turn(struct worker *worker) {
    if (replace_is_due(worker)) {
        script_switch_take(worker);
    }
    if (atomic_load_explicit(&worker->has_left, memory_order_relaxed)) {
        script_switch_note_left(worker);
    }
    bool must_hold = script_switch_is_there(worker) && !script_switch_is_handled(worker);
    if (must_hold && worker->held_since_us == 0) {
        worker->held_since_us = clock_monotonic_us();
    }
    return !must_hold;
}
