#include "reactor.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/metrics.h"
#include "base/xalloc.h"
#include "round.h"

#define LOOK_INTERVAL_US 1000000 /* for marks of other processes and retries */
#define MEASURE_INTERVAL_US 5000000
#define OUTAGE_REST_US 1000000
#define BUSY_KEYS 16          /* after a turn with so many keys, or during which others came … */
#define REST_FACTOR 2         /* … it pauses this many times the turn's duration, … */
#define REST_FACTOR_BEHIND 30 /* … behind a backlog this many times, … */
#define REST_MAX_US 4000000   /* … at most this long */

struct reactor {
    struct reactor_options options;
    struct round round; /* of the thread alone, as all up to `thread` */
    size_t max_keys;    /* fewer after an error, until the failing key is alone */
    int64_t measure_at_us;
    bool outage_logged;
    bool tries_all;       /* failed keys are to be made due: other scripts may run than failed */
    struct thread thread; /* its lock guards what follows */
    bool held;            /* it only waits */
    bool woken;
    bool behind; /* a commit with marks had a backlog behind it, since the last pause */
    struct script_generation *next; /* a reference; NULL: none */
    int64_t marks, failures;
    double oldest_s;
    char failure[512]; /* the last one; "": none since the last switch */
};

enum reactor_metric {
    RM_MARKS,
    RM_OLDEST,
    RM_KEYS,
    RM_MESSAGES,
    RM_FAILURES,
    RM_ROUND_SECONDS,
    RM_COUNT
};

static struct metric_cell *reactor_metric(enum reactor_metric which) {
    static const struct {
        enum metric_type type;
        const char *name, *help;
    } metrics[RM_COUNT] = {
        {METRIC_GAUGE, "ras_reaction_marks", "Keys marked for reactions, up to 100000."},
        {METRIC_GAUGE, "ras_reaction_oldest_mark_seconds", "Age of the oldest mark."},
        {METRIC_COUNTER, "ras_reaction_keys_total", "Keys handled by reactions."},
        {METRIC_COUNTER, "ras_reaction_messages_total",
         "Messages published by reactions, including those stored before."},
        {METRIC_COUNTER, "ras_reaction_failures_total",
         "Keys for which a reaction or its query failed; each is retried."},
        {METRIC_HISTOGRAM, "ras_reaction_round_seconds", "Time of one transaction of a reaction."},
    };
    return metric_single(metrics[which].type, metrics[which].name, metrics[which].help);
}

/* ---- scripts ------------------------------------------------------------------------------- */

static size_t reactor_reaction_count(const struct reactor *reactor) {
    size_t count;
    script_generation_reactions(reactor->round.generation, &count);
    return count;
}

/* Switches to the generation of reactor_replace_scripts, if there is one. The turn that begins sees
 * all marks made so far. */
static void reactor_switch(struct reactor *reactor) {
    struct round *round = &reactor->round;
    thread_lock(&reactor->thread);
    reactor->woken = false;
    struct script_generation *next = reactor->next;
    reactor->next = NULL;
    if (next) {
        reactor->failure[0] = '\0';
    }
    thread_unlock(&reactor->thread);
    if (!next) {
        return;
    }
    script_instance_destroy(round->instance);
    script_generation_unref(round->generation);
    round->instance = NULL;
    round->generation = next;
    reactor->max_keys = ROUND_MAX_KEYS;
    reactor->tries_all = true;
}

static bool reactor_make_due(struct reactor *reactor, struct err *err) {
    reactor->tries_all = reactor->tries_all && !(pg_connect(reactor->round.pg, err) &&
                                                 round_make_due(&reactor->round, err));
    return !reactor->tries_all;
}

/* ---- rounds -------------------------------------------------------------------------------- */

static void reactor_note_failure(struct reactor *reactor, size_t failed, const char *text) {
    metric_add(reactor_metric(RM_FAILURES), (double)failed);
    thread_lock(&reactor->thread);
    reactor->failures += (int64_t)failed;
    snprintf(reactor->failure, sizeof reactor->failure, "%s", text);
    thread_unlock(&reactor->thread);
}

/* Logs once for each outage. */
static void reactor_note_outage(struct reactor *reactor, const struct err *err) {
    if (!reactor->outage_logged) {
        log_warning("reactions cannot reach the database; keys stay marked",
                    LOG_TEXT("error", err->text));
    }
    reactor->outage_logged = true;
}

static void reactor_blame_key(struct reactor *reactor, size_t reaction,
                              const struct round_counts *counts, const struct err *refusal) {
    size_t count;
    const char *name =
        script_generation_reactions(reactor->round.generation, &count)[reaction].name;
    if (log_limit_admits_mistake(&reactor->round.log_limit, clock_monotonic_us(),
                                 slice_of(refusal->text))) {
        log_error("the query or a message of a reaction failed for a key, which is retried later: "
                  "correct the script or its query and reload",
                  LOG_TEXT("reaction", name),
                  LOG_TEXT("key", counts->first_key ? counts->first_key : ""),
                  LOG_TEXT("error", refusal->text));
    }
    reactor_note_failure(reactor, 1, refusal->text);
}

/* Reduces the keys of the next round until the failing key is alone; then parks it. */
static bool reactor_isolate(struct reactor *reactor, size_t reaction,
                            const struct round_counts *counts, const struct err *refusal,
                            struct err *err) {
    if (counts->keys <= 1 && counts->keys_at_fault) {
        reactor_blame_key(reactor, reaction, counts, refusal);
    } else if (counts->keys <= 1) {
        reactor_note_outage(reactor, refusal);
    }
    return round_isolate(&reactor->round, reaction, counts, refusal->text, &reactor->max_keys, err);
}

static bool reactor_work_on(struct reactor *reactor, size_t reaction, struct round_counts *counts,
                            struct err *err) {
    struct err refusal = {0};
    int64_t started_us = clock_monotonic_us();
    enum round_result result =
        round_run(&reactor->round, reaction, reactor->max_keys, counts, &refusal);
    /* A query that times out or ends its connection looks like an outage, but keys were taken. */
    if (result == ROUND_OUTAGE && counts->keys == 0) {
        *err = refusal;
        return false;
    }
    if (result != ROUND_DONE) {
        return reactor_isolate(reactor, reaction, counts, &refusal, err);
    }
    metric_observe(reactor_metric(RM_ROUND_SECONDS),
                   (double)(clock_monotonic_us() - started_us) / 1e6);
    metric_add(reactor_metric(RM_KEYS), (double)counts->keys);
    metric_add(reactor_metric(RM_MESSAGES), (double)counts->messages);
    if (counts->failed > 0) {
        reactor_note_failure(reactor, counts->failed, counts->failure);
    }
    if (counts->messages > 0 && reactor->options.stored) {
        reactor->options.stored(reactor->options.context);
    }
    reactor->max_keys =
        reactor->max_keys * 2 < ROUND_MAX_KEYS ? reactor->max_keys * 2 : ROUND_MAX_KEYS;
    return true;
}

static bool reactor_measure(struct reactor *reactor, struct err *err) {
    int64_t marks;
    double oldest_s;
    if (clock_monotonic_us() < reactor->measure_at_us) {
        return true;
    }
    if (!round_measure(&reactor->round, &marks, &oldest_s, err)) {
        return false;
    }
    reactor->measure_at_us = clock_monotonic_us() + MEASURE_INTERVAL_US;
    metric_set(reactor_metric(RM_MARKS), (double)marks);
    metric_set(reactor_metric(RM_OLDEST), oldest_s);
    thread_lock(&reactor->thread);
    reactor->marks = marks;
    reactor->oldest_s = oldest_s;
    thread_unlock(&reactor->thread);
    return true;
}

static void reactor_log_omitted(struct reactor *reactor) {
    size_t omitted = log_limit_take(&reactor->round.log_limit, clock_monotonic_us());
    if (omitted > 0) {
        log_error("the log omits further failures of reactions",
                  LOG_INT("count", (int64_t)omitted));
    }
}

/* Runs a round of each reaction with due marks. *most: the most keys of one round. */
static bool reactor_turn(struct reactor *reactor, size_t *most, struct err *err) {
    size_t count = reactor_reaction_count(reactor);
    bool *due = xcalloc(count, sizeof *due);
    bool ok = pg_connect(reactor->round.pg, err) && reactor_measure(reactor, err) &&
              round_look(&reactor->round, due, err);
    for (size_t i = 0; i < count && ok; i++) {
        struct round_counts counts = {0};
        ok = !due[i] || reactor_work_on(reactor, i, &counts, err);
        *most = counts.keys > *most ? counts.keys : *most;
    }
    free(due);
    reactor_log_omitted(reactor);
    return ok;
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Waits at most for_us; new marks end the wait if for_marks. False: stop. */
static bool reactor_wait(struct reactor *reactor, int64_t for_us, bool for_marks) {
    int64_t until_us = clock_monotonic_us() + for_us;
    thread_lock(&reactor->thread);
    while (reactor->held && !reactor->thread.stopping) {
        (void)thread_sleep(&reactor->thread, INT64_MAX / 4);
    }
    while (!reactor->next && !(for_marks && reactor->woken) &&
           thread_sleep(&reactor->thread, until_us)) {
    }
    bool goes_on = !reactor->thread.stopping;
    thread_unlock(&reactor->thread);
    return goes_on;
}

/* Commits have marked keys since the turn began: a stream that never ends. */
static bool reactor_was_woken(struct reactor *reactor) {
    thread_lock(&reactor->thread);
    bool woken = reactor->woken;
    thread_unlock(&reactor->thread);
    return woken;
}

/* The pause after a busy turn of that duration. */
static int64_t reactor_rest_us(struct reactor *reactor, int64_t worked_us) {
    thread_lock(&reactor->thread);
    int64_t rest_us = worked_us * (reactor->behind ? REST_FACTOR_BEHIND : REST_FACTOR);
    reactor->behind = false;
    thread_unlock(&reactor->thread);
    return rest_us < REST_MAX_US ? rest_us : REST_MAX_US;
}

/* Returns the time until the next turn; *for_marks: new marks end the wait. */
static int64_t reactor_take_turn(struct reactor *reactor, bool *for_marks) {
    struct err err = {0};
    size_t most = 0;
    int64_t started_us = clock_monotonic_us();
    reactor_switch(reactor);
    *for_marks = true;
    if (reactor_reaction_count(reactor) == 0) {
        return INT64_MAX / 4;
    }
    if (!reactor_make_due(reactor, &err) || !reactor_turn(reactor, &most, &err)) {
        reactor_note_outage(reactor, &err);
        *for_marks = false;
        return OUTAGE_REST_US;
    }
    reactor->outage_logged = false;
    if (most >= BUSY_KEYS || (most > 0 && reactor_was_woken(reactor))) {
        *for_marks = false;
        return reactor_rest_us(reactor, clock_monotonic_us() - started_us);
    }
    return most > 0 ? 0 : LOOK_INTERVAL_US;
}

static void *reactor_main(void *context) {
    struct reactor *reactor = context;
    bool for_marks = true;
    int64_t wait_us = 0;
    while (reactor_wait(reactor, wait_us, for_marks)) {
        wait_us = reactor_take_turn(reactor, &for_marks);
    }
    return NULL;
}

static void reactor_open_round(struct reactor *reactor) {
    struct script_generation *generation = reactor->options.generation;
    const struct config *config = script_generation_config(generation);
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator reactions",
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .statement_timeout_ms = config->postgres.statement_timeout_ms,
        .writes = true,
    };
    round_open(&reactor->round, pg_create(&options), generation);
    reactor->max_keys = ROUND_MAX_KEYS;
}

static void reactor_free(struct reactor *reactor) {
    round_close(&reactor->round);
    script_generation_unref(reactor->next);
    thread_free(&reactor->thread);
    free(reactor);
}

struct reactor *reactor_start(const struct reactor_options *options, struct err *err) {
    struct reactor *reactor = xcalloc(1, sizeof *reactor);
    reactor->options = *options;
    reactor->held = true;
    reactor->tries_all = true;
    reactor_open_round(reactor);
    thread_init(&reactor->thread);
    for (enum reactor_metric metric = 0; metric < RM_COUNT; metric++) {
        reactor_metric(metric); /* present before the first event */
    }
    if (!thread_start(&reactor->thread, reactor_main, reactor, "reactor", err)) {
        reactor_free(reactor);
        return NULL;
    }
    return reactor;
}

void reactor_stop(struct reactor *reactor) {
    if (!reactor) {
        return;
    }
    thread_stop(&reactor->thread);
    reactor_free(reactor);
}

void reactor_wake(struct reactor *reactor, bool behind) {
    if (!reactor) {
        return;
    }
    thread_lock(&reactor->thread);
    reactor->woken = true;
    reactor->behind = reactor->behind || behind;
    thread_wake(&reactor->thread);
    thread_unlock(&reactor->thread);
}

void reactor_release(struct reactor *reactor) {
    if (!reactor) {
        return;
    }
    thread_tell(&reactor->thread, &reactor->held, false);
}

void reactor_replace_scripts(struct reactor *reactor, struct script_generation *generation) {
    if (!reactor) {
        return;
    }
    thread_lock(&reactor->thread);
    struct script_generation *unused = reactor->next;
    reactor->next = script_generation_ref(generation);
    thread_wake(&reactor->thread);
    thread_unlock(&reactor->thread);
    script_generation_unref(unused);
}

void reactor_report(struct reactor *reactor, struct buffer *json) {
    json_put_name(json, "reactions");
    if (!reactor) {
        buffer_append_text(json, "null");
        return;
    }
    thread_lock(&reactor->thread);
    buffer_append_text(json, "{");
    json_put_int(json, "marks", reactor->marks);
    json_put_int(json, "oldest_mark_s", (int64_t)reactor->oldest_s);
    json_put_int(json, "failures", reactor->failures);
    json_put_text(json, "last_failure",
                  reactor->failure[0] ? slice_of(reactor->failure) : (struct slice){0});
    buffer_append_text(json, "}");
    thread_unlock(&reactor->thread);
}
