#include "waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/xalloc.h"

/* A handler's share of a batch if its events take SLOW_EVENT_US or more on average. */
#define TURN_SPENT_US 200000
#define SLOW_EVENT_US 500

struct waits_now waits_now(void) {
    return (struct waits_now){clock_monotonic_us(), clock_wall_us()};
}

void waits_init(struct waits *waits, size_t handler_count, uint64_t seed) {
    *waits = (struct waits){.items = xcalloc(handler_count + 1, sizeof *waits->items),
                            .count = handler_count,
                            .random = seed | 1};
}

void waits_free(struct waits *waits) {
    free(waits->items);
    *waits = (struct waits){0};
}

static uint64_t waits_random(struct waits *waits) {
    waits->random ^= waits->random << 13;
    waits->random ^= waits->random >> 7;
    waits->random ^= waits->random << 17;
    return waits->random;
}

bool waits_holds(const struct waits *waits, size_t handler) {
    return waits->items[handler].held;
}

static void waits_hold_until(struct waits *waits, struct wait *wait, bool turn, int64_t until_us) {
    wait->held = true;
    wait->turn = turn;
    wait->retry_at_us = until_us;
    waits->changed = waits->refetch = true;
}

bool waits_hold(struct waits *waits, size_t handler, enum wait_cause cause, const char *reason,
                struct waits_now now) {
    struct wait *wait = &waits->items[handler];
    bool begins = wait->cause == WAIT_NONE;
    if (begins) {
        wait->since_wall_us = now.wall_us;
        wait->tries = 0;
    }
    wait->cause = cause;
    wait->tries++;
    int64_t us = backoff_us(wait->tries - 1, WAITS_FIRST_US, WAITS_LAST_US);
    waits_hold_until(waits, wait, false, now.us + backoff_jitter_us(us, waits_random(waits)));
    /* The first line only: the log has the traceback. */
    int len = (int)strcspn(reason, "\n");
    int most = (int)sizeof wait->reason - 1;
    snprintf(wait->reason, sizeof wait->reason, "%.*s", len < most ? len : most, reason);
    return begins;
}

void waits_hold_turn(struct waits *waits, size_t handler, int64_t now_us) {
    struct wait *wait = &waits->items[handler];
    waits_hold_until(waits, wait, true, now_us + wait->spent_us);
}

void waits_progress(struct waits *waits, int64_t now_us) {
    for (size_t i = 0; i < waits->count; i++) {
        struct wait *wait = &waits->items[i];
        if (wait->held && wait->retry_at_us <= now_us) {
            wait->held = false;
            waits->changed = waits->refetch = true;
        }
    }
}

int64_t waits_next_us(const struct waits *waits) {
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < waits->count; i++) {
        const struct wait *wait = &waits->items[i];
        if (wait->held && wait->retry_at_us < next_us) {
            next_us = wait->retry_at_us;
        }
    }
    return next_us;
}

void waits_note_good(struct waits *waits, size_t handler) {
    struct wait *wait = &waits->items[handler];
    if (wait->cause == WAIT_OUTAGE && !wait->held) {
        wait->tries = 0;
    }
}

bool waits_end(struct waits *waits, size_t handler) {
    struct wait *wait = &waits->items[handler];
    if (wait->cause == WAIT_NONE || (wait->held && !wait->turn)) {
        return false;
    }
    wait->cause = WAIT_NONE;
    waits->changed = true;
    return true;
}

void waits_try_all(struct waits *waits) {
    for (size_t i = 0; i < waits->count; i++) {
        struct wait *wait = &waits->items[i];
        wait->cause = wait->cause == WAIT_BREAKER ? WAIT_NONE : wait->cause;
        wait->tries = 0;
        wait->retry_at_us = 0;
    }
    waits->changed = true;
    waits_progress(waits, 0);
}

void waits_forget(struct waits *waits) {
    waits->refetch = waits->refetch || waits_next_us(waits) != INT64_MAX;
    waits->changed = true;
    memset(waits->items, 0, waits->count * sizeof *waits->items);
}

bool waits_spend(struct waits *waits, size_t handler, int64_t spent_us) {
    struct wait *wait = &waits->items[handler];
    wait->spent_us += spent_us;
    wait->spent_events++;
    return wait->spent_us >= TURN_SPENT_US &&
           wait->spent_us / (int64_t)wait->spent_events >= SLOW_EVENT_US;
}

void waits_begin_batch(struct waits *waits) {
    for (size_t i = 0; i < waits->count; i++) {
        waits->items[i].spent_us = 0;
        waits->items[i].spent_events = 0;
    }
}
