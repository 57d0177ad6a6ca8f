#include "breaker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void breaker_init(struct breaker *breaker, size_t handler_count, size_t window_events,
                  size_t share_percent) {
    *breaker = (struct breaker){
        .handler_count = handler_count,
        .window_events = window_events,
        .share_percent = share_percent,
        .entered = xcalloc(handler_count, sizeof *breaker->entered),
        .judged = xcalloc(handler_count, sizeof *breaker->judged),
        .accepting = xcalloc(handler_count, sizeof *breaker->accepting),
    };
    for (size_t i = 0; i < handler_count; i++) {
        breaker->entered[i].verdicts = xcalloc(window_events, 1);
        breaker->judged[i].verdicts = xcalloc(window_events, 1);
    }
}

void breaker_free(struct breaker *breaker) {
    for (size_t i = 0; i < breaker->handler_count; i++) {
        free(breaker->entered[i].verdicts);
        free(breaker->judged[i].verdicts);
    }
    free(breaker->entered);
    free(breaker->judged);
    free(breaker->accepting);
    *breaker = (struct breaker){0};
}

static void breaker_push(const struct breaker *breaker, struct breaker_window *window,
                         bool rejected) {
    window->rejected -= window->verdicts[window->at];
    window->verdicts[window->at] = rejected;
    window->rejected += rejected;
    window->at = (window->at + 1) % breaker->window_events;
    window->count += window->count < breaker->window_events;
}

static bool breaker_too_many(const struct breaker *breaker, const struct breaker_window *window) {
    size_t least = BREAKER_LEAST_EVENTS < breaker->window_events ? BREAKER_LEAST_EVENTS
                                                                 : breaker->window_events;
    size_t events = window->count < least ? least : window->count;
    return window->rejected >= BREAKER_LEAST_REJECTED &&
           window->rejected * 100 > events * breaker->share_percent;
}

void breaker_judge_restart(struct breaker *breaker) {
    for (size_t i = 0; i < breaker->handler_count; i++) {
        const struct breaker_window *entered = &breaker->entered[i];
        struct breaker_window *judged = &breaker->judged[i];
        unsigned char *verdicts = judged->verdicts;
        memcpy(verdicts, entered->verdicts, breaker->window_events);
        *judged = *entered;
        judged->verdicts = verdicts;
    }
}

bool breaker_judge(struct breaker *breaker, size_t handler, bool rejected) {
    breaker_push(breaker, &breaker->judged[handler], rejected);
    return !rejected || breaker->accepting[handler] ||
           !breaker_too_many(breaker, &breaker->judged[handler]);
}

void breaker_describe(const struct breaker *breaker, size_t handler, const char *name,
                      const char *detail, char reason[BREAKER_REASON_CAP]) {
    const struct breaker_window *window = &breaker->judged[handler];
    snprintf(reason, BREAKER_REASON_CAP,
             "%zu of the last %zu events of %.64s were rejected, the last one: %.500s",
             window->rejected, window->count, name, detail);
}

void breaker_enter(struct breaker *breaker, size_t handler, bool rejected) {
    struct breaker_window *window = &breaker->entered[handler];
    breaker_push(breaker, window, rejected);
    if (window->count == breaker->window_events && !breaker_too_many(breaker, window)) {
        breaker->accepting[handler] = false;
    }
}

void breaker_resume(struct breaker *breaker, size_t handler) {
    struct breaker_window *window = &breaker->entered[handler];
    breaker->accepting[handler] = true;
    memset(window->verdicts, 0, breaker->window_events);
    window->count = window->at = window->rejected = 0;
}
