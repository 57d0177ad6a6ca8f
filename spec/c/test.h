/* test: a table of named cases, and checks. A test program prints a line a case and `N passed, N
 * failed` at the end, with `, N skipped` where cases were; arguments select cases whose names
 * contain one of them, and select at least one. Any thread may check. */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"

struct test_case {
    const char *name; /* the behaviour: "rejects a lone surrogate" */
    void (*run)(void);
};

static _Atomic bool test_failed;
static const char *test_skipped; /* why the case does not run here; NULL: it does */

#define TEST_FAIL(...)                                                                             \
    do {                                                                                           \
        test_failed = true;                                                                        \
        printf("    %s:%d: ", __FILE__, __LINE__);                                                 \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
    } while (0)
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            TEST_FAIL("not true: %s", #condition);                                                 \
        }                                                                                          \
    } while (0)
/* Ends the case: what it needs is not there. */
#define TEST_SKIP(why)                                                                             \
    do {                                                                                           \
        test_skipped = (why);                                                                      \
        return;                                                                                    \
    } while (0)
/* The call succeeds; where it does not, its error is shown. */
#define CHECK_OK(call, err)                                                                        \
    do {                                                                                           \
        if (!(call)) {                                                                             \
            TEST_FAIL("%s failed: %s", #call, (err)->text);                                        \
        }                                                                                          \
    } while (0)
#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ != want_) {                                                                       \
            TEST_FAIL("%s is %lld, want %lld", #got, got_, want_);                                 \
        }                                                                                          \
    } while (0)
#define CHECK_TEXT(got, want)                                                                      \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (!got_ || strcmp(got_, want_) != 0) {                                                   \
            TEST_FAIL("%s is \"%s\", want \"%s\"", #got, got_ ? got_ : "(null)", want_);           \
        }                                                                                          \
    } while (0)
#define CHECK_HAS(text, part)                                                                      \
    do {                                                                                           \
        const char *text_ = (text), *part_ = (part);                                               \
        if (!strstr(text_, part_)) {                                                               \
            TEST_FAIL("\"%s\" has no \"%s\"", text_, part_);                                       \
        }                                                                                          \
    } while (0)
#define CHECK_SLICE(got, want)                                                                     \
    do {                                                                                           \
        struct slice got_ = (got), want_ = slice_of(want);                                         \
        if (!slice_equal(got_, want_)) {                                                           \
            TEST_FAIL("%s is \"%.*s\", want \"%s\"", #got, (int)got_.len, got_.data, want_.data);  \
        }                                                                                          \
    } while (0)

/* Polls a condition for at most ten seconds; fails the case where it does not come true. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t until_us_ = clock_monotonic_us() + 10000000;                                       \
        while (!(condition) && clock_monotonic_us() < until_us_) {                                 \
            nanosleep(&(struct timespec){0, 1000000}, NULL);                                       \
        }                                                                                          \
        if (!(condition)) {                                                                        \
            TEST_FAIL("gave up waiting for: %s", #condition);                                      \
        }                                                                                          \
    } while (0)

/* A small generator of its own, so that a seed means the same everywhere. */
static inline uint32_t test_draw(uint32_t *state, uint32_t below) {
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)*state * below) >> 32);
}

/* The URL of a server that the tests run beside, from the environment. */
static inline const char *test_url(const char *variable) {
    const char *url = getenv(variable);
    if (!url) {
        printf("%s is not set: tools/test starts servers and sets it\n0 passed, 1 failed\n",
               variable);
        exit(1);
    }
    return url;
}

static inline bool test_is_chosen(const char *name, int argc, char **argv) {
    bool chosen = argc < 2;
    for (int i = 1; i < argc; i++) {
        chosen = chosen || strstr(name, argv[i]);
    }
    return chosen;
}

#define TEST_USAGE_STATUS 2

struct test_counts {
    int passed, failed, skipped;
};

static inline void test_run_case(const struct test_case *test, struct test_counts *counts) {
    test_failed = false;
    test_skipped = NULL;
    test->run();
    if (test_skipped && !test_failed) {
        counts->skipped++;
        printf("skip %s: %s\n", test->name, test_skipped);
        return;
    }
    printf("%s %s\n", test_failed ? "FAIL" : "ok  ", test->name);
    test_failed ? counts->failed++ : counts->passed++;
}

static inline void test_run_chosen(const struct test_case *cases, size_t count, int argc,
                                   char **argv, struct test_counts *counts) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < count; i++) {
        if (test_is_chosen(cases[i].name, argc, argv)) {
            test_run_case(&cases[i], counts);
        }
    }
}

/* Prints the counts; returns the exit status. */
static inline int test_end(const struct test_case *cases, size_t count,
                           const struct test_counts *counts) {
    if (counts->passed + counts->failed + counts->skipped == 0) {
        fprintf(stderr, "no case has such a name; there are:\n");
        for (size_t i = 0; i < count; i++) {
            fprintf(stderr, "    %s\n", cases[i].name);
        }
        return TEST_USAGE_STATUS;
    }
    printf("%d passed, %d failed", counts->passed, counts->failed);
    if (counts->skipped > 0) {
        printf(", %d skipped", counts->skipped);
    }
    printf("\n");
    return counts->failed == 0 ? 0 : 1;
}

static inline int test_run(const struct test_case *cases, size_t count, int argc, char **argv) {
    struct test_counts counts = {0};
    test_run_chosen(cases, count, argc, argv, &counts);
    return test_end(cases, count, &counts);
}

#define TEST_MAIN(cases)                                                                           \
    int main(int argc, char **argv) {                                                              \
        return test_run((cases), sizeof(cases) / sizeof *(cases), argc, argv);                     \
    }
