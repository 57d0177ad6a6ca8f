/* A thread that sleeps until it is woken or stopped. */
#include "base/thread.h"

#include "base/clock.h"
#include "test.h"

#define LONG_US (600LL * 1000 * 1000)

struct sleeper {
    struct thread thread;
    bool woken;  /* by the test */
    int noticed; /* wake-ups that the thread has seen */
    bool ended;
};

static void *sleeper_main(void *context) {
    struct sleeper *sleeper = context;
    int64_t until_us = clock_monotonic_us() + LONG_US;
    thread_lock(&sleeper->thread);
    while (thread_sleep(&sleeper->thread, until_us)) {
        sleeper->noticed += sleeper->woken;
        sleeper->woken = false;
    }
    sleeper->ended = true;
    thread_unlock(&sleeper->thread);
    return NULL;
}

static void start(struct sleeper *sleeper) {
    struct err err = {0};
    *sleeper = (struct sleeper){0};
    thread_init(&sleeper->thread);
    CHECK_OK(thread_start(&sleeper->thread, sleeper_main, sleeper, "sleeper", &err), &err);
}

static void a_thread_that_is_woken_goes_on(void) {
    struct sleeper sleeper;
    start(&sleeper);
    bool noticed = false;
    while (!noticed) {
        thread_lock(&sleeper.thread);
        sleeper.woken = sleeper.noticed == 0;
        thread_wake(&sleeper.thread);
        noticed = sleeper.noticed > 0;
        thread_unlock(&sleeper.thread);
    }
    CHECK(!sleeper.ended);
    thread_stop(&sleeper.thread);
    CHECK(sleeper.ended);
    thread_free(&sleeper.thread);
}

static void a_thread_that_sleeps_is_stopped_at_once(void) {
    struct sleeper sleeper;
    int64_t began_us = clock_monotonic_us();
    start(&sleeper);
    thread_stop(&sleeper.thread);
    CHECK(sleeper.ended);
    CHECK(clock_monotonic_us() - began_us < LONG_US / 2);
    thread_free(&sleeper.thread);
}

static void nothing_sleeps_beyond_its_deadline(void) {
    struct thread thread;
    thread_init(&thread);
    thread_lock(&thread);
    CHECK(!thread_sleep(&thread, clock_monotonic_us()));
    while (thread_sleep(&thread, clock_monotonic_us() + 1000)) {
    }
    thread_unlock(&thread);
    thread_stop(&thread); /* none was started */
    thread_free(&thread);
}

static const struct test_case cases[] = {
    {"a thread that is woken goes on", a_thread_that_is_woken_goes_on},
    {"a thread that sleeps is stopped at once", a_thread_that_sleeps_is_stopped_at_once},
    {"nothing sleeps beyond its deadline", nothing_sleeps_beyond_its_deadline},
};

TEST_MAIN(cases)
