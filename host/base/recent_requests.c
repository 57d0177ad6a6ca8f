#include "recent_requests.h"

#include <stdatomic.h>

#include "clock.h"

#define RECENT_US 1000000

static _Atomic int64_t recent_requests_newest_us = INT64_MIN / 2;

void recent_requests_note(void) {
    atomic_store_explicit(&recent_requests_newest_us, clock_monotonic_us(), memory_order_relaxed);
}

bool recent_requests_any(void) {
    return clock_monotonic_us() -
               atomic_load_explicit(&recent_requests_newest_us, memory_order_relaxed) <
           RECENT_US;
}
