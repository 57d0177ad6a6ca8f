#include "breaker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../xalloc.h"

void breaker_init(struct breaker *breaker, size_t window_events, size_t share_percent) {
    *breaker = (struct breaker){
        .verdicts = xcalloc(window_events, 1),
        .window = window_events,
        .share_percent = share_percent,
    };
}

void breaker_free(struct breaker *breaker) {
    free(breaker->verdicts);
    breaker->verdicts = NULL;
}

static void push(struct breaker *breaker, bool rejected) {
    breaker->rejected -= breaker->verdicts[breaker->at];
    breaker->verdicts[breaker->at] = rejected;
    breaker->rejected += rejected;
    breaker->at = (breaker->at + 1) % breaker->window;
    breaker->count += breaker->count < breaker->window;
}

/* Of the whole window, also while it fills: a few bad events after a start open nothing. */
static bool too_many(const struct breaker *breaker) {
    return breaker->rejected * 100 > breaker->window * breaker->share_percent;
}

static void open_if_too_many(struct breaker *breaker, const char *reason) {
    if (too_many(breaker) && !breaker->accepting && !breaker->open) {
        breaker->open = true;
        snprintf(breaker->reason, sizeof breaker->reason,
                 "%zu of the last %zu events were rejected, the last one: %.160s",
                 breaker->rejected, breaker->count, reason);
    }
}

void breaker_note(struct breaker *breaker, const char *reason) {
    push(breaker, reason != NULL);
    if (reason) {
        open_if_too_many(breaker, reason);
    }
}

void breaker_note_refusal(struct breaker *breaker, const char *reason) {
    for (size_t back = 1; back <= breaker->count; back++) {
        unsigned char *verdict =
            &breaker->verdicts[(breaker->at + breaker->window - back) % breaker->window];
        if (!*verdict) {
            *verdict = 1;
            breaker->rejected++;
            break;
        }
    }
    open_if_too_many(breaker, reason);
}

void breaker_settle(struct breaker *breaker) {
    if (breaker->count == breaker->window && !too_many(breaker)) {
        breaker->accepting = false;
    }
}

void breaker_close(struct breaker *breaker, bool accept) {
    memset(breaker->verdicts, 0, breaker->window);
    breaker->count = breaker->at = breaker->rejected = 0;
    breaker->open = false;
    breaker->accepting = accept;
}
