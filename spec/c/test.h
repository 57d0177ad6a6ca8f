/* test: a table of named cases and a few checks. Each test program prints a line a case and
 * `N passed, N failed` at the end. */
#ifndef AGG_SPEC_TEST_H
#define AGG_SPEC_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct test_case {
    const char *name; /* the behaviour: "rejects a lone surrogate" */
    void (*run)(void);
};

static bool test_failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            test_failed = true;                                                                    \
            printf("    %s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                   \
        }                                                                                          \
    } while (0)
#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ != want_) {                                                                       \
            test_failed = true;                                                                    \
            printf("    %s:%d: %s is %lld, want %lld\n", __FILE__, __LINE__, #got, got_, want_);   \
        }                                                                                          \
    } while (0)
#define CHECK_TEXT(got, want)                                                                      \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (strcmp(got_, want_) != 0) {                                                            \
            test_failed = true;                                                                    \
            printf("    %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got, got_,       \
                   want_);                                                                         \
        }                                                                                          \
    } while (0)

static inline int test_run(const struct test_case *cases, size_t count) {
    int passed = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        test_failed = false;
        cases[i].run();
        printf("%s %s\n", test_failed ? "FAIL" : "ok  ", cases[i].name);
        test_failed ? failed++ : passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

#define TEST_MAIN(cases)                                                                           \
    int main(void) {                                                                               \
        return test_run((cases), sizeof(cases) / sizeof *(cases));                                 \
    }

#endif
