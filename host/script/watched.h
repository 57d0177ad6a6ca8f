/* watched: the call that a Lua state runs, published to the watchdog by its thread. A call costs a
 * few atomic stores and no lock. A reader may see one call's values with the next call's deadline,
 * which is later. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct script_generation;

/* A state's entry in the watchdog's list. */
struct watched {
    /* Written by the running thread. */
    _Atomic int64_t started_us; /* of the call under way; 0: none */
    _Atomic int64_t deadline_us;
    _Atomic(const char *) script; /* "handlers/x", lives as long as the state; NULL: none */
    _Atomic uint64_t event_id[2]; /* of a handler's event; 0, 0: none */
    /* The watchdog's, under its lock. */
    const struct script_generation *generation;
    struct watched *next;
    int64_t seen_us;  /* start of the call seen last */
    int64_t lasts_us; /* its duration, as far as this process ran */
    bool stuck;
};

/* Describes the next call. `event_id`: 16 bytes, or NULL. */
static inline void watched_name(struct watched *watched, const char *script,
                                const uint8_t *event_id) {
    uint64_t halves[2] = {0, 0};
    if (event_id) {
        memcpy(halves, event_id, sizeof halves);
    }
    atomic_store_explicit(&watched->script, script, memory_order_relaxed);
    atomic_store_explicit(&watched->event_id[0], halves[0], memory_order_relaxed);
    atomic_store_explicit(&watched->event_id[1], halves[1], memory_order_relaxed);
}

/* Sets the call under way; started_us 0: none, and the deadline stays readable. */
static inline void watched_set(struct watched *watched, int64_t started_us, int64_t deadline_us) {
    if (started_us != 0) {
        atomic_store_explicit(&watched->deadline_us, deadline_us, memory_order_relaxed);
    }
    atomic_store_explicit(&watched->started_us, started_us, memory_order_release);
}
